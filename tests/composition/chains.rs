//! Spans, scopes, causes and records form no chain that grows with uptime.
