//! The answer of each path.

use std::time::Duration;

use serde_json::{Value, json};
use tokio_supervised::{
    CancellationToken, Group, Pool, Services, TaskError, TaskState, ops, recent_panics, services,
    supervised, task, tasks,
};

use super::{HTML, JSON, ask, json_until, object_of, tasks_until};

const HOSTILE: &str = "<img src=x onerror=\"alert(1)\">\u{1b}[31m'\n";

#[tokio::test]
async fn each_path_has_its_content_type() {
    let address = ops::listen(0).unwrap();
    let paths = [
        ("/metrics", "text/plain; version=0.0.4; charset=utf-8"),
        ("/healthz", "text/plain; charset=utf-8"),
        ("/readyz", "text/plain; charset=utf-8"),
        ("/debug/tasks", "text/plain; charset=utf-8"),
        ("/debug/tasks/", "text/plain; charset=utf-8"),
    ];
    for (path, content_type) in paths {
        let answer = ask(address, path, &[]).await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (200, Some(content_type)),
            "{path}"
        );
        assert_eq!(answer.header("cache-control"), Some("no-store"), "{path}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
    }
    assert_eq!(ask(address, "/", &[]).await.status, 404);
}

#[tokio::test]
async fn the_same_tasks_are_served_as_text_json_and_page() {
    let address = ops::listen(0).unwrap();
    let pool = Pool::new(1);
    pool.spawn(task!("three forms", |_| -> Result<(), TaskError> { std::future::pending().await }))
        .await
        .unwrap();

    let is_it = |text: &str| text.contains("\"three forms\" (task ");
    tasks_until(address, is_it).await;

    let line = json_until(address, |json| object_of(json, "lines", "name", "three forms")).await;
    assert!(line["place"].as_str().unwrap().contains("answers.rs:"), "{line}");
    let function = |json: &Value| object_of(json, "functions", "name", "three forms");
    let function = json_until(address, function).await;
    assert_eq!((&function["running"], &function["started"]), (&1.into(), &1.into()));
    let json = ask(address, "/debug/tasks", &[JSON]).await;
    assert_eq!(json.header("content-type"), Some("application/json"));
    assert_eq!(json.header("vary"), Some("accept"));

    let page = ask(address, "/debug/tasks", &[HTML]).await;
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert!(page.text().starts_with("<!doctype html>"));
}

#[tokio::test]
async fn the_line_of_a_task_is_in_the_text_and_in_the_json() {
    const LINE: u32 = line!() + 3;
    #[supervised(name = "at_a_line")]
    async fn waits() -> Result<(), TaskError> {
        std::future::pending().await
    }

    let address = ops::listen(0).unwrap();
    let pool = Pool::new(1);
    pool.spawn(waits).await.unwrap();
    let place = format!("waits at tests/ops/http/answers.rs:{LINE} for ");
    tasks_until(address, |text| {
        text.lines().any(|line| line.contains("at_a_line (task ") && line.contains(&place))
    })
    .await;
    let line = json_until(address, |json| object_of(json, "lines", "name", "at_a_line")).await;
    assert_eq!(line["frames"][0]["line"], LINE, "{line}");
    assert_eq!(line["frames"][0]["name"], "at_a_line", "{line}");
    assert!(line["waiting_seconds"].as_f64().is_some(), "{line}");
}

#[tokio::test]
async fn a_label_is_in_the_text_and_in_the_json() {
    #[supervised(name = "labelled")]
    async fn labelled() -> Result<(), TaskError> {
        std::future::pending().await
    }

    let address = ops::listen(0).unwrap();
    let pool = Pool::new(1);
    pool.spawn(|token| labelled(token).label(HOSTILE)).await.unwrap();
    let shown = "<img src=x onerror=\"alert(1)\">\\u{1b}[31m'\\n";
    tasks_until(address, |text| text.contains(&format!("labelled [{shown}] (task "))).await;
    let line = json_until(address, |json| object_of(json, "lines", "name", "labelled")).await;
    assert_eq!(line["label"], shown);
}

#[tokio::test]
async fn the_page_only_runs_scripts_with_its_own_nonce() {
    let address = ops::listen(0).unwrap();
    let mut nonces = Vec::new();
    for _ in 0..2 {
        let page = ask(address, "/debug/tasks", &[HTML]).await;
        let policy = page.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; "), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        let nonce = policy.split("script-src 'nonce-").nth(1).unwrap().split('\'').next().unwrap();
        assert_eq!(nonce.len(), 32);
        assert!(page.text().contains(&format!("<script nonce=\"{nonce}\">")));
        assert!(!page.text().contains("{{nonce}}"));
        nonces.push(nonce.to_owned());
    }
    assert_ne!(nonces[0], nonces[1]);
}

#[tokio::test]
async fn a_hostile_name_is_escaped_in_json_and_text() {
    let address = ops::listen(0).unwrap();
    let pool = Pool::new(1);
    pool.spawn(task!("<img src=x onerror=\"alert(1)\">\u{1b}[31m'\n", |_| -> Result<
        (),
        TaskError,
    > {
        std::future::pending().await
    }))
    .await
    .unwrap();
    json_until(address, |json| object_of(json, "lines", "name", HOSTILE)).await;
    let quoted = format!("{HOSTILE:?} (task ");
    let text = tasks_until(address, |text| text.contains(&quoted)).await;
    assert!(text.chars().all(|each| each == '\n' || !each.is_control()));
}

#[supervised(name = "breaks")]
async fn breaks(by: u32) -> Result<u32, TaskError> {
    Ok(1 / by)
}

#[tokio::test]
async fn the_backtrace_of_a_panic_is_requested_by_its_key() {
    let address = ops::listen(0).unwrap();
    breaks(&CancellationToken::new(), 0).label("order 7").await.unwrap_err();
    let panic = json_until(address, |json| object_of(json, "panics", "label", "order 7")).await;
    assert_eq!(
        (&panic["task"], &panic["message"]),
        (&json!("breaks"), &json!("attempt to divide by zero"))
    );
    assert!(panic["location"].as_str().unwrap().contains("answers.rs:"), "{panic}");
    let path = format!("/debug/tasks/backtraces/{}", panic["key"].as_str().unwrap());
    let backtrace = ask(address, &path, &[]).await;
    assert!(backtrace.text().contains("answers::breaks"), "{}", backtrace.text());
    let text = ask(address, "/debug/tasks", &[]).await;
    assert!(text.text().contains(" ago: breaks [order 7] at "), "{}", text.text());
    let unknown = ask(address, "/debug/tasks/backtraces/0-1", &[]).await;
    assert_eq!(unknown.status, 404);
}

#[supervised(name = "resumes")]
async fn resumes() -> Result<(), TaskError> {
    std::panic::resume_unwind(Box::new("no hook has seen it"))
}

#[tokio::test]
async fn a_panic_without_a_backtrace_states_the_reason() {
    let address = ops::listen(0).unwrap();
    resumes(&CancellationToken::new()).await.unwrap_err();
    let panic = json_until(address, |json| object_of(json, "panics", "task", "resumes")).await;
    assert_eq!(
        (&panic["message"], &panic["location"]),
        (&"no hook has seen it".into(), &Value::Null)
    );
    let path = format!("/debug/tasks/backtraces/{}", panic["key"].as_str().unwrap());
    let backtrace = ask(address, &path, &[]).await;
    assert!(backtrace.text().starts_with("There is none: the panic hook was replaced "));
    assert!(backtrace.text().contains(" or the panic was resumed,"));
}

#[supervised(name = "many functions")]
async fn one_of_many() -> Result<(), TaskError> {
    Ok(())
}

#[tokio::test]
async fn json_has_the_totals_of_all_functions() {
    let address = ops::listen(0).unwrap();
    one_of_many(&CancellationToken::new()).await.unwrap();
    let json = json_until(address, |json| {
        object_of(json, "functions", "name", "many functions").map(|_| json.clone())
    })
    .await;
    assert_eq!(json["functions_left_out"], 0);
    let functions = json["functions"].as_array().unwrap();
    for outcome in tokio_supervised::Outcome::ALL {
        let ended = |it: &Value| it["ended"][outcome.as_str()].as_u64().unwrap();
        assert_eq!(ended(&json["totals"]), functions.iter().map(ended).sum::<u64>(), "{outcome}");
    }
    let waiting = |it: &Value| it["waiting"].as_u64().unwrap();
    assert_eq!(waiting(&json["totals"]), functions.iter().map(waiting).sum::<u64>());
}

#[supervised(name = "long message")]
async fn long_message() -> Result<(), TaskError> {
    panic!("it's \"{}\"", "a lot of ".repeat(100_000))
}

#[tokio::test]
async fn a_long_panic_message_is_truncated_and_marked_in_each_form() {
    let address = ops::listen(0).unwrap();
    long_message(&CancellationToken::new()).await.unwrap_err();
    let panic = json_until(address, |json| object_of(json, "panics", "task", "long message")).await;
    let message = panic["message"].as_str().unwrap();
    assert!(message.ends_with("… (900007 bytes)"), "{message}");
    let line = format!(": {message}\n");
    let text = tasks_until(address, |text| text.contains(&line)).await;
    assert!(text.len() < 100_000, "{} bytes", text.len());
}

#[tokio::test]
async fn each_part_of_a_snapshot_can_be_serialised() {
    let pool = Pool::new(1);
    let parent = task!("serialised: parent", |token| -> Result<(), TaskError> {
        let group = Group::new(&token);
        let child = task!("serialised: child", |_| -> Result<(), TaskError> {
            std::future::pending().await
        });
        group.spawn(child).await;
        breaks(&token, 0).await.unwrap_err();
        group.join().await.map(drop)
    });
    pool.spawn(parent).await.unwrap();
    let (child, panic) = loop {
        let live = tasks();
        let child = live.iter().find(|task| task.name == "serialised: child" && task.id.is_some());
        let panic = recent_panics().into_iter().find(|panic| panic.task() == "breaks");
        if let (Some(child), Some(panic)) = (child, panic) {
            break (child.clone(), panic);
        }
        tokio::task::yield_now().await;
    };
    let all = serde_json::to_value(tasks()).unwrap();
    let found = all.as_array().unwrap().iter().find(|task| task["name"] == "serialised: child");
    let found = found.expect("the task is listed");
    assert_eq!(found["id"], child.id.unwrap().to_string());
    assert_eq!(found["parent"]["name"], "serialised: parent");
    assert_eq!(found["depth"], 1);
    let states = [TaskState::Waiting, TaskState::Stopping, TaskState::Polling(Duration::ZERO)];
    assert_eq!(serde_json::to_value(states).unwrap(), json!(["waiting", "stopping", "polling"]));
    let found = serde_json::to_value(&panic).unwrap();
    assert_eq!((&found["task"], &found["message"]), (&json!("breaks"), &json!(panic.message())));
    assert_eq!(found["location"], panic.location().unwrap().to_string());
    assert!(found["at_unix_seconds"].as_f64().unwrap() > 1e9);
    assert!(found["backtrace"].as_str().unwrap().contains("breaks"));
}

#[tokio::test]
async fn services_are_shown_with_their_restarts_and_last_failure() {
    #[supervised(name = "ops: flaky", restart = "on-failure", backoff = "1h..1h")]
    async fn flaky() -> Result<(), anyhow_like::Error> {
        Err(anyhow_like::Error("no <b>connection</b>".to_owned()))
    }

    let address = ops::listen(0).unwrap();
    let token = CancellationToken::new();
    let running = tokio::spawn({
        let token = token.clone();
        async move { Services::new(&token).background("ops/flaky", flaky).run().await }
    });
    let restarting = |json: &Value| {
        let service = object_of(json, "services", "name", "ops/flaky")?;
        (service["restarts"] == 1 && service["state"] == "restarting").then_some(service)
    };
    let service = json_until(address, restarting).await;
    assert_eq!(service["last_failure"], "no <b>connection</b>");
    let told = serde_json::to_value(services()).unwrap();
    let told = told.as_array().unwrap().iter().find(|each| each["name"] == "ops/flaky").unwrap();
    assert_eq!(told, &service);
    let text = tasks_until(address, |text| text.contains("\nSERVICES\n")).await;
    let line = "  ops/flaky: restarting, 1 restart, last failure: no <b>connection</b>\n";
    assert!(text.contains(line), "{text}");
    assert!(text.contains(", service ops/flaky): waiting"), "{text}");
    token.cancel();
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_named_pool_is_shown_with_its_slots_and_above_its_tasks() {
    #[supervised(name = "ops: in a pool")]
    async fn waits() -> Result<(), TaskError> {
        std::future::pending().await
    }

    let address = ops::listen(0).unwrap();
    let pool = Pool::new(2).name("ops/saves");
    for _ in 0..2 {
        pool.spawn(waits).await.unwrap();
    }
    pool.try_spawn(waits).unwrap_err();
    let is_shown = |json: &Value| {
        let lines = json["lines"].as_array()?;
        let at = lines.iter().position(|line| line["pool_tasks"] == 2)?;
        Some((object_of(json, "pools", "name", "ops/saves")?, lines[at..at + 3].to_vec()))
    };
    let (shown, lines) = json_until(address, is_shown).await;
    let expected =
        json!({ "name": "ops/saves", "slots": 2, "in_use": 2, "waiting": 0, "refused": 1 });
    assert_eq!(shown, expected);
    assert_eq!(lines[0], json!({ "depth": 0, "name": "ops/saves", "pool_tasks": 2 }));
    for line in &lines[1..] {
        assert_eq!((&line["name"], &line["depth"]), (&json!("ops: in a pool"), &json!(1)));
        assert_eq!(line["pool"], "ops/saves");
    }
    let text = tasks_until(address, |text| text.contains("\nPOOLS\n")).await;
    assert!(text.contains("  ops/saves: 2 of 2 slots in use, 0 waiting, 1 refused\n"), "{text}");
    assert!(text.contains("  ops/saves (pool): 2 tasks\n    \"ops: in a pool\" (task "), "{text}");
    pool.drain(Duration::ZERO).await.unwrap_err();
}

/// An error with a text.
mod anyhow_like {
    use tokio_supervised::TaskError;

    #[derive(Debug)]
    pub(super) struct Error(pub(super) String);

    impl From<TaskError> for Error {
        fn from(error: TaskError) -> Self {
            Self(error.to_string())
        }
    }

    impl std::fmt::Display for Error {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str(&self.0)
        }
    }

    impl std::error::Error for Error {}
}
