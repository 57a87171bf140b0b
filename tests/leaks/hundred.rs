//! A hundred tests in parallel, of which ten leak: exactly those ten fail, each with its own leak.
//!
//! The hundred are ignored: this program starts itself again to run them.

use std::{env, future::pending, process::Command, time::Duration};

use tokio_supervised::{CancellationToken, Group, Pool, TaskError, map, supervised, task};

use crate::support::kept_pool;

const LEAK: &str = "SUPERVISED_TESTS_LEAK";

#[supervised]
async fn half(number: u32) -> Result<u32, TaskError> {
    tokio::task::yield_now().await;
    Ok(number / 2)
}

/// The body of each of them.
async fn work(token: &CancellationToken) {
    assert_eq!(map(token, 0..32, half).await.unwrap().len(), 32);
    let pool = Pool::new(4);
    for number in 0..32 {
        pool.spawn(move |token| half_of(token, number)).await.unwrap();
    }
    let group = Group::new(token);
    for number in 0..32 {
        group.spawn(|token| half(token, number)).await;
    }
    group.join().await.unwrap();
    pool.drain(Duration::from_secs(60)).await.unwrap();
}

#[supervised]
async fn half_of(number: u32) -> Result<(), TaskError> {
    tokio::time::sleep(Duration::from_micros(number.into())).await;
    Ok(())
}

/// Tests that leak nothing, on one thread and on two.
macro_rules! clean {
    ($($one:ident $two:ident)*) => {$(
        #[supervised::test]
        #[ignore = "fixture of another test"]
        async fn $one(token: &CancellationToken) {
            work(token).await;
        }

        #[supervised::test(flavor = "multi_thread", worker_threads = 2)]
        #[ignore = "fixture of another test"]
        async fn $two(token: &CancellationToken) {
            work(token).await;
        }
    )*};
}

/// Tests that leak a task with a unique name if the environment asks for it.
macro_rules! leaky {
    ($($one:ident $name_of_one:literal $two:ident $name_of_two:literal)*) => {$(
        #[supervised::test]
        #[ignore = "fixture of another test"]
        async fn $one(token: &CancellationToken) {
            work(token).await;
            if env::var_os(LEAK).is_some() {
                kept_pool().spawn(task!($name_of_one, |_| pending::<Result<(), TaskError>>())).await.unwrap();
            }
        }

        #[supervised::test(flavor = "multi_thread", worker_threads = 2)]
        #[ignore = "fixture of another test"]
        async fn $two(token: &CancellationToken) {
            work(token).await;
            if env::var_os(LEAK).is_some() {
                kept_pool().spawn(task!($name_of_two, |_| pending::<Result<(), TaskError>>())).await.unwrap();
            }
        }
    )*};
}

leaky! {
    leaks_0 "left_0" leaks_1 "left_1"
    leaks_2 "left_2" leaks_3 "left_3"
    leaks_4 "left_4" leaks_5 "left_5"
    leaks_6 "left_6" leaks_7 "left_7"
    leaks_8 "left_8" leaks_9 "left_9"
}

clean! {
    clean_10 clean_11 clean_12 clean_13 clean_14 clean_15
    clean_16 clean_17 clean_18 clean_19 clean_20 clean_21
    clean_22 clean_23 clean_24 clean_25 clean_26 clean_27
    clean_28 clean_29 clean_30 clean_31 clean_32 clean_33
    clean_34 clean_35 clean_36 clean_37 clean_38 clean_39
    clean_40 clean_41 clean_42 clean_43 clean_44 clean_45
    clean_46 clean_47 clean_48 clean_49 clean_50 clean_51
    clean_52 clean_53 clean_54 clean_55 clean_56 clean_57
    clean_58 clean_59 clean_60 clean_61 clean_62 clean_63
    clean_64 clean_65 clean_66 clean_67 clean_68 clean_69
    clean_70 clean_71 clean_72 clean_73 clean_74 clean_75
    clean_76 clean_77 clean_78 clean_79 clean_80 clean_81
    clean_82 clean_83 clean_84 clean_85 clean_86 clean_87
    clean_88 clean_89 clean_90 clean_91 clean_92 clean_93
    clean_94 clean_95 clean_96 clean_97 clean_98 clean_99
}

#[test]
fn only_leaking_tests_of_a_hundred_parallel_ones_fail() {
    let output = Command::new(env::current_exe().unwrap())
        .args(["hundred::", "--ignored", "--test-threads=16"])
        .env(LEAK, "1")
        .env("RUST_BACKTRACE", "0")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("90 passed; 10 failed"), "{text}");
    let sections: Vec<_> = text.split("---- hundred::").collect();
    for number in 0..10 {
        let (test, task) = (format!("leaks_{number}"), format!("left_{number}"));
        let section =
            sections.iter().find(|section| section.starts_with(&format!("{test} stdout")));
        let section = section.unwrap_or_else(|| panic!("{test} is not blamed: {text}"));
        let blamed = format!("test `{test}` leaked 1 task:\n\n  {task} (task ");
        assert!(section.contains(&blamed), "{section}");
    }
}
