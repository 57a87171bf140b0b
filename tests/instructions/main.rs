//! How many instructions and locked operations one unit of work takes, compared with the last accepted counts.
//!
//! ```text
//! cargo run --release -p supervised-instructions              compares with baseline.txt
//! cargo run --release -p supervised-instructions -- --bless   rewrites it
//! ```
//!
//! 1. Valgrind's callgrind counts the same under any load. Everything runs on one thread, so events have one order.
//! 2. The program runs itself under callgrind once ([`testkit::callgrind`]). Each case does its work for N units to warm
//!    up, then for N and for 2 N; each ends with a mark. The difference divided by N is one unit: one-time work (a
//!    runtime, a group, its join) is in both.
//! 3. Nothing else is needed. Gungraun (formerly iai-callgrind) starts valgrind for each case, and needs a second
//!    program of exactly its own version, which takes longer to build than these cases take to run.
//! 4. Valgrind's processor has no counter that `quanta` trusts, on any machine: the clock is that of the operating
//!    system here, and is read twice a run.
//! 5. The allocator does not depend on earlier allocations: with the system's allocator, the same spawn
//!    takes 7 % more or less, depending on the heap. It takes a mutex: two locked operations an allocation, two a
//!    deallocation.
//! 6. Timed wake-ups (the watch of a map, a timer) may fall into a count or not. A case that seems too expensive is
//!    counted again, up to [`COUNTS`] times, and the minimum is used. A real regression shows each time.
//! 7. The cases `await_ready` differ in the lines of their `.await`s, whose cost has a limit.
//! 8. Another compiler version or target produces other instructions: nothing is compared then, and a message
//!    reports it.

mod baseline;
mod callgrind;
mod cases;
mod compiler;
mod verdict;
mod work;

use std::process::ExitCode;

/// See 6.
const COUNTS: usize = 4;

/// See 5.
#[global_allocator]
static ALLOCATOR: rlsf::GlobalTlsf = rlsf::GlobalTlsf::new();

use baseline::Baseline;
use verdict::Comparison;

/// How many instructions the line of an `.await` may take that is ready at once.
const MOST_OF_A_LINE: f64 = 6.0;

fn of_a_line(now: &Baseline) -> f64 {
    let count = |case: &str| now.counts.get(case).map_or(0, |cost| cost.instructions) as f64;
    (count("await_ready") - count("await_ready_unmarked")) / work::AWAITS as f64
}

fn main() -> ExitCode {
    let asked = |flag: &str| std::env::args().skip(1).any(|argument| argument == flag);
    if asked(callgrind::COUNTED) {
        cases::run_all();
        return ExitCode::SUCCESS;
    }
    let Some(counts) = callgrind::count() else {
        eprintln!("error: there is no `valgrind` (Debian's package `valgrind`)");
        return ExitCode::FAILURE;
    };
    let now = Baseline { compiler: compiler::version(), counts };
    if asked("--bless") {
        baseline::write(&now);
        println!("{now}");
        return ExitCode::SUCCESS;
    }
    let accepted = baseline::read();
    if accepted.compiler != now.compiler {
        println!("{now}");
        println!("NOTHING WAS COMPARED: the baseline belongs to another compiler");
        println!("  now       {}\n  baseline  {}", now.compiler, accepted.compiler);
        return ExitCode::SUCCESS;
    }
    let mut now = now;
    let mut comparison = Comparison::of(&now.counts, &accepted.counts);
    for _ in 1..COUNTS {
        if !comparison.fails() {
            break;
        }
        println!("{comparison}\ncounting again: the count may include timed wake-ups");
        now.least_of(callgrind::count().unwrap_or_default());
        comparison = Comparison::of(&now.counts, &accepted.counts);
    }
    println!("{comparison}");
    let line = of_a_line(&now);
    println!("the line of an `.await` takes {line:.1} instructions, at most {MOST_OF_A_LINE}");
    let fails = comparison.fails() || line > MOST_OF_A_LINE;
    if fails { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
