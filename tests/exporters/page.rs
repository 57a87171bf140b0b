//! A strict reader of the text exposition format 0.0.4.
//!
//! It accepts exactly what the format description allows; a histogram must be consistent.

use std::collections::{BTreeMap, BTreeSet};

use crate::Samples;

/// A page that conforms to the format.
#[derive(Debug)]
pub(crate) struct Page {
    /// In the order of the page: name and type.
    pub(crate) families: Vec<(String, String)>,
    pub(crate) samples: Samples,
}

impl Page {
    /// # Panics
    ///
    /// If the text does not conform to the format; the message has the line.
    pub(crate) fn read(text: &str) -> Self {
        let mut page = Self { families: Vec::new(), samples: Samples::new() };
        let mut helped = BTreeSet::new();
        assert!(text.is_empty() || text.ends_with('\n'), "the last line has no line feed");
        for line in text.lines().filter(|line| !line.is_empty()) {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, _) = rest.split_once(' ').expect(line);
                assert!(helped.insert(name.to_owned()), "a second HELP: {line}");
                assert!(page.kind(name).is_none(), "HELP after TYPE: {line}");
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').expect(line);
                assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
                assert!(is_name(name, ":") && page.kind(name).is_none(), "{line}");
                page.families.push((name.into(), kind.into()));
            } else {
                page.read_sample(line);
            }
        }
        let histograms = page.families.iter().filter(|(_, kind)| kind == "histogram");
        histograms.for_each(|(name, _)| page.check_histogram(name));
        page
    }

    fn kind(&self, name: &str) -> Option<&str> {
        let family = self.families.iter().find(|(family, _)| family == name)?;
        Some(&family.1)
    }

    fn read_sample(&mut self, line: &str) {
        let mut rest = Rest(line);
        let name = rest.until(|c| matches!(c, '{' | ' '));
        let mut labels = BTreeMap::new();
        if rest.take('{') {
            while !rest.take('}') {
                assert!(labels.is_empty() || rest.take(','), "no comma: {line}");
                let label = rest.until(|c| c == '=');
                assert!(is_name(label, "") && rest.take('=') && rest.take('"'), "{line}");
                let value = rest.value();
                assert!(labels.insert(label.into(), value).is_none(), "a label twice: {line}");
            }
        }
        assert!(is_name(name, ":") && rest.take(' '), "{line}");
        let value: f64 = rest.0.parse().expect(line);
        assert!(value >= 0.0, "nothing here is below zero: {line}");
        self.check_family(name, line);
        let before = self.samples.insert((name.into(), labels), value);
        assert_eq!(before, None, "a series twice: {line}");
    }

    /// A sample follows the TYPE line of its family.
    fn check_family(&self, name: &str, line: &str) {
        let (family, kind) = self.families.last().expect(line);
        let suffix = name.strip_prefix(family.as_str()).expect(line);
        let fits = match kind.as_str() {
            "histogram" => ["_bucket", "_sum", "_count"].contains(&suffix),
            _ => suffix.is_empty(),
        };
        assert!(fits, "not of the family `{family}`: {line}");
    }

    /// Buckets are cumulative, end with `+Inf`, and have a matching count and sum.
    fn check_histogram(&self, name: &str) {
        let mut each: BTreeMap<_, Vec<(f64, f64)>> = BTreeMap::new();
        for ((sample, labels), count) in &self.samples {
            if *sample == format!("{name}_bucket") {
                let mut labels = labels.clone();
                let le = labels.remove("le").expect("a bucket has a bound");
                each.entry(labels).or_default().push((le.parse().unwrap(), *count));
            }
        }
        let of = |suffix: &str, labels: &BTreeMap<String, String>| {
            self.samples[&(format!("{name}{suffix}"), labels.clone())]
        };
        for (labels, mut buckets) in each {
            buckets.sort_by(|one, other| one.0.total_cmp(&other.0));
            assert!(buckets.is_sorted_by_key(|(_, count)| *count), "{name}{labels:?}: {buckets:?}");
            let last = buckets.last().unwrap();
            assert_eq!(*last, (f64::INFINITY, of("_count", &labels)), "{name}{labels:?}");
            assert!(of("_sum", &labels) >= 0.0);
        }
        let counts = self.samples.keys().filter(|(sample, _)| *sample == format!("{name}_count"));
        for (_, labels) in counts {
            let mut labels = labels.clone();
            labels.insert("le".into(), "+Inf".into());
            assert!(self.samples.contains_key(&(format!("{name}_bucket"), labels)));
        }
    }
}

fn is_name(name: &str, more: &str) -> bool {
    let starts = |c: char| c.is_ascii_alphabetic() || c == '_' || more.contains(c);
    name.starts_with(starts) && name.chars().all(|c| starts(c) || c.is_ascii_digit())
}

/// The unread rest of a line.
struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    fn take(&mut self, wanted: char) -> bool {
        let rest = self.0.strip_prefix(wanted);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    fn until(&mut self, ends: impl Fn(char) -> bool) -> &'a str {
        let (before, rest) = self.0.split_at(self.0.find(ends).expect("the line goes on"));
        self.0 = rest;
        before
    }

    /// A label's value, up to its closing quote.
    fn value(&mut self) -> String {
        let mut value = String::new();
        let mut chars = self.0.chars();
        loop {
            match chars.next().expect("the quote is closed") {
                '"' => break,
                '\\' => value.push(match chars.next() {
                    Some('\\') => '\\',
                    Some('"') => '"',
                    Some('n') => '\n',
                    other => panic!("unknown escape: {other:?}"),
                }),
                other => value.push(other),
            }
        }
        self.0 = chars.as_str();
        value
    }
}

#[test]
fn an_invalid_page_is_refused() {
    let head = "# HELP a_total Text.\n# TYPE a_total counter\n";
    let histogram = "# TYPE h histogram\n";
    Page::read(&format!("{head}a_total{{x=\"\\\\ \\\" \\n\",y=\"}}\"}} 1\n"));
    Page::read(&format!("{histogram}h_bucket{{le=\"+Inf\"}} 1\nh_sum 2\nh_count 1\n"));
    for wrong in [
        "a_total 1\n".into(),
        format!("{head}a_total 1"),
        format!("{head}b_total 1\n"),
        format!("{head}a_total one\n"),
        format!("{head}a_total -1\n"),
        format!("{head}a_total 1\na_total 2\n"),
        format!("{head}a_total{{x=\"1\",x=\"2\"}} 1\n"),
        format!("{head}a_total{{x=\"\\t\"}} 1\n"),
        format!("{head}a_total{{x=\"a\"b\"}} 1\n"),
        format!("{head}a_total{{x=\"a\nb\"}} 1\n"),
        format!("{head}{head}"),
        format!("{head}a_total{{1x=\"\"}} 1\n"),
        format!("{histogram}h_bucket{{le=\"1\"}} 1\nh_sum 2\nh_count 1\n"),
        format!("{histogram}h_bucket{{le=\"+Inf\"}} 1\nh_sum 2\nh_count 2\n"),
        format!(
            "{histogram}h_bucket{{le=\"1\"}} 2\nh_bucket{{le=\"+Inf\"}} 1\nh_sum 2\nh_count 1\n"
        ),
        format!("{histogram}h_sum 2\nh_count 1\n"),
    ] {
        let read = std::panic::catch_unwind(|| Page::read(&wrong));
        assert!(read.is_err(), "{wrong}");
    }
}
