//! The code blocks of the guide and of the README, compiled and run as documentation tests.

macro_rules! pages {
    ($($name:ident $path:literal)*) => {
        $(
            #[cfg(doctest)]
            #[doc = include_str!($path)]
            struct $name;
        )*
    };
}

pages! {
    Readme "../README.md"
    Compare "../COMPARE.md"
    Llms "../llms.txt"
    Performance "../docs/PERFORMANCE.md"
    Reliability "../docs/RELIABILITY.md"
    Introduction "src/introduction.md"
    Start "src/start.md"
    Functions "src/functions.md"
    Map "src/map.md"
    Groups "src/groups.md"
    Pools "src/pools.md"
    Services "src/services.md"
    Main "src/main.md"
    Outcomes "src/outcomes.md"
    Cancellation "src/cancellation.md"
    Observability "src/observability.md"
    Hangs "src/hangs.md"
    Testing "src/testing.md"
    Lints "src/lints.md"
    Rules "src/rules.md"
    Deploying "src/deploying.md"
    Scaling "src/scaling.md"
    Migration "src/migration.md"
    Glossary "src/glossary.md"
}
