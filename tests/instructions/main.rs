//! How many instructions one unit of work takes, against what it took when that was last accepted.
//!
//! ```text
//! cargo run --release -p supervised-instructions              compares with baseline.txt
//! cargo run --release -p supervised-instructions -- --bless   writes it anew
//! ```
//!
//! 1. A wall clock on a shared machine cannot tell 5 %. Valgrind's callgrind counts the same instructions
//!    whatever else runs. Everything happens on one thread, so that there is one order of events.
//! 2. The program runs itself under callgrind once. Each case does its work for N units to warm up, then for
//!    N and for 2 N; callgrind writes the count down at each call of [`cases::counted_from_here`]. What the 2 N
//!    took more, divided by N, is one unit: what happens once (a runtime, a group, its join) is in both.
//! 3. That is all of it. Gungraun (iai-callgrind before) starts valgrind for each case, and needs a second
//!    program of just its own version, which takes longer to build than all of this takes to run.
//! 4. Valgrind's processor has no counter that `quanta` trusts, on whatever machine: the clock is the operating
//!    system's here, and read twice a run.
//! 5. The allocator takes the same way whatever was allocated before: with that of the system, the same spawn takes 7 %
//!    more or less as the heap happens to lie.
//! 6. What wakes by time (a map's watch, a timer) may fall into a count or not: a case that seems to take too many is
//!    counted again, up to [`COUNTS`] times, and the least counts. What takes more instructions takes them each time.
//! 7. A compiler of another version, or for another machine, makes other instructions: nothing is compared
//!    then, and that is said.

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
        println!("NOTHING WAS COMPARED: the baseline is of another compiler");
        println!("  now       {}\n  baseline  {}", now.compiler, accepted.compiler);
        return ExitCode::SUCCESS;
    }
    let mut now = now;
    let mut comparison = Comparison::of(&now.counts, &accepted.counts);
    for _ in 1..COUNTS {
        if !comparison.fails() {
            break;
        }
        println!("{comparison}\ncounting again, since what wakes by time may be in it");
        now.least_of(callgrind::count().unwrap_or_default());
        comparison = Comparison::of(&now.counts, &accepted.counts);
    }
    println!("{comparison}");
    if comparison.fails() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
