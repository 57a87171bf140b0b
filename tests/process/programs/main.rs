//! Mains that are stopped by signals, in one executable: its argument is `main: body`.

#![allow(missing_docs, reason = "each is described at its head")]

mod blocked;
mod common;
mod configured;
mod connections;
mod current_thread;
mod custom_code;
mod events;
mod exit_code;
mod hangs;
mod lingers;
mod plain;
mod pools;
mod result_code;
mod services;
mod shapes;
mod spent;
mod systemd;
mod token;
mod twice;

use std::process::ExitCode;

fn main() -> ExitCode {
    let wanted = std::env::args().nth(1).expect("the test names a main");
    match wanted.split_once(": ").expect("the test names a main and its body").0 {
        "blocked" => blocked::main(),
        "configured" => configured::main(),
        "connections" => connections::main(),
        "current_thread" => current_thread::main(),
        "custom_code" => custom_code::main(),
        "exit_code" => exit_code::main(),
        "hangs" => hangs::main(),
        "lingers" => lingers::main(),
        "plain" => plain::main(),
        "pools" => pools::main(),
        "result_code" => result_code::main(),
        "services" => services::main(),
        "shapes" => shapes::main(),
        "spent" => spent::main(),
        "systemd" => systemd::main(),
        "token" => token::main(),
        "events" => events::main(),
        "twice" => twice::main(),
        other => panic!("no such main: {other}"),
    }
}
