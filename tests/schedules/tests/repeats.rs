//! A seed reproduces its schedule.

use crate::explore::{TRACE, in_a_process_of_its_own};

const TEST: &str = "pool::accepted_tasks_have_ended_when_the_drain_returns";

/// The hash of the order of seed 40, as the test prints it.
fn order(key: &str, value: &str) -> String {
    let mut command = in_a_process_of_its_own(TEST);
    command.env_remove("SEED").env_remove("SCHEDULES").env(key, value).env(TRACE, "");
    let stdout = String::from_utf8(command.output().unwrap().stdout).unwrap();
    let line = stdout.lines().find(|line| line.starts_with("40: "));
    line.unwrap_or_else(|| panic!("no order for seed 40:\n{stdout}")).to_owned()
}

#[test]
fn a_seed_gives_the_same_order_in_any_sequence() {
    assert_eq!(order("SEED", "40"), order("SCHEDULES", "40"));
}
