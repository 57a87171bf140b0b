//! Memory and cost do not depend on what has ended.
