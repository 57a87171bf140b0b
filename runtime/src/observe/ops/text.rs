//! A snapshot as text for a terminal.

use std::fmt;

use crate::{
    observe::ops::document::{Document, PageLine},
    observe::ops::message,
};
use crate::{
    observe::stats::TaskStats, outcome::Outcome, registry::age::Age, registry::live::LiveTask,
    registry::pool_status::PoolStatus, registry::services::ServiceStatus, registry::tree::PoolLine,
    registry::waits::AtLine, tuning::Bracketed,
};

impl fmt::Display for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { process, pid, live, .. } = self;
        let ready = match (self.ready, self.stopping) {
            (true, _) => "ready",
            (false, true) => "stopping, not ready",
            (false, false) => "not ready",
        };
        writeln!(f, "{} (process {pid}), {ready}, {live} live tasks", Quoted(process))?;
        if !self.polling.is_empty() {
            writeln!(f, "\nTASKS THAT BLOCK THEIR WORKER")?;
            for task in &self.polling {
                write_task(f, 0, task)?;
            }
            left_out(f, self.polling_left_out, "tasks that block their worker")?;
        }
        if !self.services.is_empty() {
            writeln!(f, "\nSERVICES")?;
            for service in &self.services {
                write_service(f, service)?;
            }
            left_out(f, self.services_left_out, "services")?;
        }
        if !self.pools.is_empty() {
            writeln!(f, "\nPOOLS")?;
            for PoolStatus { name, slots, in_use, waiting, refused } in &self.pools {
                write!(f, "  {}: {in_use} of {slots} slots in use", Quoted(name))?;
                writeln!(f, ", {waiting} waiting, {refused} refused")?;
            }
            left_out(f, self.pools_left_out, "pools")?;
        }
        writeln!(f, "\nLIVE TASKS")?;
        for entry in &self.lines {
            match entry {
                PageLine::Pool(PoolLine { name, tasks }) => {
                    let plural = if *tasks == 1 { "" } else { "s" };
                    writeln!(f, "  {} (pool): {tasks} task{plural}", Quoted(name))?;
                }
                PageLine::Task(task, depth) => write_task(f, *depth, task)?,
                PageLine::More(alike, depth) => {
                    write!(f, "{:indent$}… ", "", indent = 2 * depth + 2)?;
                    alike.write(f, Quoted(alike.name))?;
                    writeln!(f)?;
                }
            }
        }
        left_out(f, self.tasks_left_out, "tasks")?;
        writeln!(f, "\nFUNCTIONS")?;
        for function in &self.functions {
            write_function(f, function)?;
        }
        left_out(f, self.functions_left_out, "functions")?;
        if !self.panics.is_empty() {
            writeln!(f, "\nLAST PANICS")?;
        }
        for panic in &self.panics {
            let ago = Age(panic.at().elapsed().unwrap_or_default());
            write!(f, "  {ago} ago: {}{}", Quoted(panic.task()), Bracketed(panic.label()))?;
            if let Some(location) = panic.location() {
                write!(f, " at {location}")?;
            }
            writeln!(f, ": {}", message::single_line(panic.message()))?;
        }
        Ok(())
    }
}

fn write_service(f: &mut fmt::Formatter<'_>, service: &ServiceStatus) -> fmt::Result {
    let ServiceStatus { name, state, restarts, last_failure } = service;
    write!(f, "  {}: {state}", Quoted(name))?;
    match restarts {
        0 => {}
        1 => f.write_str(", 1 restart")?,
        restarts => write!(f, ", {restarts} restarts")?,
    }
    if let Some(failure) = last_failure {
        write!(f, ", last failure: {}", message::single_line(failure))?;
    }
    writeln!(f)
}

fn write_task(f: &mut fmt::Formatter<'_>, depth: usize, task: &LiveTask) -> fmt::Result {
    let indent = 2 * depth + 2;
    write!(f, "{:indent$}{}{}", "", Quoted(task.name), Bracketed(task.label()))?;
    match (&task.id, &task.service) {
        (None, None) => {}
        (Some(id), None) => write!(f, " (task {id})")?,
        (None, Some(service)) => write!(f, " (service {})", Quoted(service))?,
        (Some(id), Some(service)) => write!(f, " (task {id}, service {})", Quoted(service))?,
    }
    write!(f, ": {}, {} old, spawned at {}", task.state, Age(task.age), task.spawned_at)?;
    writeln!(f, "{}", AtLine { verb: "waits", waits: task.waits.as_deref() })
}

fn write_function(f: &mut fmt::Formatter<'_>, of: &TaskStats) -> fmt::Result {
    write!(f, "  {}: {} running", Quoted(of.name), of.running)?;
    if let Some(limit) = of.limit {
        write!(f, " of {limit}")?;
    }
    write!(f, ", {} waiting, {} started", of.waiting, of.started)?;
    for outcome in Outcome::ALL {
        match of.ended(outcome) {
            0 => {}
            count => write!(f, ", {count} {outcome}")?,
        }
    }
    writeln!(f, ", at {}", of.place)
}

fn left_out(f: &mut fmt::Formatter<'_>, count: usize, what: &str) -> fmt::Result {
    match count {
        0 => Ok(()),
        _ => writeln!(f, "  … and {count} more {what}, left out"),
    }
}

/// A name, quoted unless it is plain: a terminal would interpret control characters in it.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_plain = |each: char| each.is_alphanumeric() || "_-./".contains(each);
        if !self.0.is_empty() && self.0.chars().all(is_plain) {
            f.write_str(self.0)
        } else {
            write!(f, "{:?}", self.0)
        }
    }
}
