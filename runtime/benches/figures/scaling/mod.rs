//! The cost of one more among many: curves, each as ratios to its first point.

mod curve;
mod functions;
mod limits;
mod live_tasks;
mod nesting;
mod threads;

use crate::settings::Settings;

pub(crate) fn run(settings: &Settings) {
    functions::run(settings);
    live_tasks::run(settings);
    nesting::run(settings);
    threads::run(settings);
    limits::run(settings);
}
