//! Names and messages, written by each writer and read back: the oracle of the fuzzer's target `names`, whose seeds
//! the test below reads too.
//!
//! Invariants
//!
//! 1. For Prometheus, the page of a name is that of a plain name, but for the name.
//! 2. JSON returns names unchanged and messages as they were truncated. It contains no raw control character.
//! 3. A text has the same lines as for a plain name, and no control character except line ends. Names and messages can
//!    be parsed back, each up to the text that follows it.
//! 4. A name in a report is as it was given, but for control characters, and up to [`MOST_CHARACTERS`] of it.

use std::{
    panic::resume_unwind,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{
    error::Panic,
    function::{Policy, TaskSpec},
    observe::exporters::prometheus::text_of,
    observe::exporters::series::Series,
    observe::stats::TaskStats,
    panic::catch,
    panic::recent::RecentPanic,
    registry::fold::Alike,
    registry::live::{LiveTask, ParentTask, TaskState},
    registry::name::{MOST_CHARACTERS, Name},
    registry::pool_status::PoolStatus,
    registry::snapshot::Tasks,
    registry::tree::PoolLine,
};
use crate::{
    observe::ops::document::{Document, PageLine},
    observe::ops::message::cut,
};

const PLAIN: &str = "plain";

static SPEC: TaskSpec = TaskSpec::new(PLAIN, Policy::DEFAULT.limit(3));

/// As a name and as a message.
///
/// # Panics
///
/// If it is not read back.
pub fn check(given: &'static str) {
    assert_eq!(page(given), page(PLAIN));
    let document = document(given);
    check_json(given, &document.json());
    check_text(given, &document.to_string());
    check_report(given);
}

/// The samples of a page, with the name that was given as a plain one.
fn page(name: &'static str) -> Vec<String> {
    let mut series = Series::of(&SPEC);
    series.name = name;
    let text = text_of(&[series]);
    assert!(text.ends_with('\n'));
    let lines = text.split_terminator('\n');
    let lines = lines.map(|line| match line.strip_prefix("# ") {
        Some(comment) => {
            assert!(comment.starts_with("HELP ") || comment.starts_with("TYPE "), "{line:?}");
            line.to_owned()
        }
        None => sample(line, name),
    });
    lines.collect()
}

/// `metric{label="value",…} number`, and nothing else.
fn sample(line: &str, name: &str) -> String {
    let word = |rest: &str| {
        let end = rest.find(|each: char| !each.is_ascii_lowercase() && each != '_');
        let end = end.expect("the line goes on");
        assert!(end > 0, "{line:?}");
        (rest[..end].to_owned(), rest[end..].to_owned())
    };
    let (mut sample, mut rest) = word(line);
    let mut before = '{';
    while rest.starts_with(before) {
        let (label, after) = word(&rest[1..]);
        let quoted = after.strip_prefix("=\"").expect("a value is quoted");
        let (value, after) = unescaped(quoted, Some('"'), |escape| match escape {
            '\\' | '"' => escape,
            'n' => '\n',
            _ => panic!("no such escape: {line:?}"),
        });
        let value = match &*label {
            "task" => {
                assert_eq!(value, name);
                PLAIN
            }
            _ => &value,
        };
        sample.push_str(&format!("{before}{label}={value}"));
        (rest, before) = (after.to_owned(), ',');
    }
    let number = rest.strip_prefix("} ").expect("the labels end");
    assert!(number.parse::<f64>().is_ok_and(|number| number >= 0.0), "{line:?}");
    format!("{sample}}} {number}")
}

/// Returns the unescaped text up to `end`, and the rest after it.
fn unescaped(text: &str, end: Option<char>, escape: impl Fn(char) -> char) -> (String, &str) {
    let mut read = String::new();
    let mut chars = text.chars();
    while let Some(each) = chars.next() {
        match each {
            _ if Some(each) == end => return (read, chars.as_str()),
            '\\' => match chars.next().expect("an escape goes on") {
                'u' => {
                    let digits = chars.as_str().strip_prefix('{').expect("digits in braces");
                    let (digits, rest) = digits.split_once('}').expect("the braces end");
                    let number = u32::from_str_radix(digits, 16).expect("hexadecimal digits");
                    read.push(char::from_u32(number).expect("a character"));
                    chars = rest.chars();
                }
                each => read.push(escape(each)),
            },
            each => read.push(each),
        }
    }
    assert_eq!(end, None, "it does not end: {text:?}");
    (read, "")
}

/// The escapes of Rust's literals.
fn of_rust(escape: char) -> char {
    match escape {
        '\\' | '"' | '\'' => escape,
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        '0' => '\0',
        _ => panic!("no such escape: {escape:?}"),
    }
}

fn task(name: &'static str, state: TaskState) -> LiveTask {
    let parent = Some(ParentTask { name, id: None });
    LiveTask { parent, ..LiveTask::example(name, state) }
}

/// With the name wherever there is one.
fn document(name: &'static str) -> Document {
    let caught = catch(|| -> () { resume_unwind(Box::new(name.to_owned())) });
    let panic = Panic::new(name, caught.expect_err("it panics"));
    let mut document = Document::now(Instant::now());
    document.process = name.to_owned();
    document.polling = vec![task(name, TaskState::Polling(Duration::ZERO))];
    document.pools = vec![PoolStatus { name, slots: 2, in_use: 1, waiting: 0, refused: 0 }];
    document.lines = vec![
        PageLine::Pool(PoolLine { name, tasks: 3 }),
        PageLine::Task(task(name, TaskState::Running), 0),
        PageLine::More(
            Alike { name, count: 3, below: 0, oldest: Duration::ZERO, blocking: 0, waits_at: None },
            0,
        ),
    ];
    let mut function = TaskStats::of(&SPEC);
    function.name = name;
    document.functions = vec![function];
    document.panics = vec![RecentPanic::now(&panic)];
    // Other tests of the process add functions too.
    (document.polling_left_out, document.tasks_left_out, document.functions_left_out) = (0, 0, 0);
    document.pools_left_out = 0;
    document
}

fn check_json(given: &str, json: &str) {
    assert!(!json.contains(|each| each < ' '), "{json:?}");
    let json: Value = serde_json::from_str(json).expect("it is JSON");
    for place in [
        "/process",
        "/polling/0/name",
        "/polling/0/parent/name",
        "/pools/0/name",
        "/lines/0/name",
        "/lines/1/name",
        "/lines/2/name",
        "/functions/0/name",
        "/panics/0/task",
    ] {
        assert_eq!(json.pointer(place).and_then(Value::as_str), Some(given), "{place}");
    }
    let message = json.pointer("/panics/0/message").and_then(Value::as_str);
    assert_eq!(message, Some(&*cut(given)));
}

fn check_text(given: &str, text: &str) {
    let lines = lines(text, 18);
    for (at, before, after) in [
        (0, "", " (process "),
        (3, "  ", ": polling"),
        (6, "  ", ": 1 of 2 slots in use, "),
        (9, "  ", " (pool): 3 tasks"),
        (10, "  ", ": running"),
        (11, "  … 3 × ", ", oldest "),
        (14, "  ", ": 0 running"),
        (17, " ago: ", ": "),
    ] {
        let begins = lines[at].find(before).expect("what stands before a name") + before.len();
        let rest = &lines[at][begins..];
        let (name, rest) = match rest.strip_prefix('"') {
            Some(quoted) => unescaped(quoted, Some('"'), of_rust),
            None => {
                let is_plain = |each: char| each.is_alphanumeric() || "_-./".contains(each);
                let end = rest.find(|each| !is_plain(each)).expect("the line goes on");
                (rest[..end].to_owned(), &rest[end..])
            }
        };
        assert_eq!(name, given, "{:?}", lines[at]);
        let rest = rest.strip_prefix(after).expect("what stands behind a name");
        if at == 17 {
            assert_eq!(unescaped(rest, None, of_rust).0, cut(given));
        }
    }
}

/// So many lines, without any other control character.
fn lines(text: &str, count: usize) -> Vec<&str> {
    let lines: Vec<_> = text.split_terminator('\n').collect();
    assert_eq!(lines.len(), count, "{text:?}");
    assert!(!lines.iter().any(|line| line.contains(char::is_control)), "{text:?}");
    lines
}

fn check_report(given: &'static str) {
    let mut expected = String::new();
    for each in given.chars().take(MOST_CHARACTERS) {
        match each {
            '\0' => expected.push_str("\\0"),
            '\t' => expected.push_str("\\t"),
            '\n' => expected.push_str("\\n"),
            '\r' => expected.push_str("\\r"),
            '\0'..' ' | '\u{7f}'..'\u{a0}' => {
                expected.push_str(&format!("\\u{{{:x}}}", u32::from(each)));
            }
            each => expected.push(each),
        }
    }
    if given.chars().nth(MOST_CHARACTERS).is_some() {
        expected.push('…');
    }
    assert_eq!(Name(given).to_string(), expected);
    let alike = vec![task(given, TaskState::Running); 13];
    assert!(lines(&alike[0].to_string(), 1)[0].starts_with(&format!("{expected}: running")));
    let mut pooled = task(given, TaskState::Running);
    pooled.pool = Some(given);
    let tree = Tasks(vec![pooled]).to_string();
    assert!(lines(&tree, 3)[1].starts_with(&format!("{expected} (pool)  ")), "{tree}");
    // The head, ten tasks, and a line for the other three.
    let tree = Tasks(alike).to_string();
    let tree = lines(&tree, 12);
    assert!(tree[1..11].iter().all(|line| line.starts_with(&expected)), "{tree:?}");
    assert!(tree[11].starts_with(&format!("… 3 × {expected}")), "{tree:?}");
}

#[test]
fn each_name_of_the_fuzzer_is_read_back_unchanged() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds/names");
    let seeds = std::fs::read_dir(folder).expect("the seeds exist");
    let names = seeds.map(|seed| std::fs::read_to_string(seed.expect("a file").path()));
    let names: Vec<_> = names.map(|name| name.expect("a seed is text")).collect();
    assert!(!names.is_empty());
    names.into_iter().for_each(|name| check(name.leak()));
}
