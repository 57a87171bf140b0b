//! The example itself.

use std::{path::Path, process::Stdio, time::Duration};

use nix::sys::signal::Signal;

use crate::{
    child::{Running, command},
    place::Place,
    publisher::publish,
};

const LIMIT: Duration = Duration::from_secs(60);

#[test]
#[ignore = "needs nats-server and postgresql"]
fn the_example_handles_orders_and_stops_at_a_signal() {
    let place = Place::new();
    publish(&place, "1 2 20\n3 two 20\n5 2 100\n");
    let program = Path::new(env!("CARGO_BIN_EXE_jetstream"));
    let mut command = command(&place.tools.setpriv, Signal::SIGKILL, program);
    command.env("BROKER", place.broker.url()).env("DATABASE", place.database.words());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut running = Running::start(command, Signal::SIGKILL);
    place.until_empty(LIMIT);
    running.send(Signal::SIGTERM);
    let ended = running.end(LIMIT).expect("it ends in time");

    assert!(ended.success(), "{ended:?}");
    assert_eq!(place.ids(), ["1", "5"]);
    assert_eq!(place.dead()[0].reason, "unreadable: invalid digit found in string");
}
