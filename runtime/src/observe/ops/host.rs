//! The check of the requested host: against DNS rebinding, by which a web page's own name is made to point to this
//! machine.

use axum::{
    extract::Request,
    http::{StatusCode, header::HOST},
    middleware::Next,
    response::{IntoResponse, Response},
};

/// Accepts only requests to a name that always means this machine.
pub(crate) async fn only_local(request: Request, next: Next) -> Response {
    if is_for_this_machine(&request) {
        next.run(request).await
    } else {
        (StatusCode::FORBIDDEN, "this answers to localhost alone\n").into_response()
    }
}

/// The name is in the header, and in an absolute target: both must be local.
fn is_for_this_machine(request: &Request) -> bool {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    let target = request.uri().authority().map(|authority| authority.as_str());
    host.is_some_and(is_local) && target.is_none_or(is_local)
}

/// Any port: a tunnel has another one.
fn is_local(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    ["localhost", "127.0.0.1", "[::1]"].iter().any(|local| name.eq_ignore_ascii_case(local))
}

#[cfg(test)]
mod tests {
    use super::is_local;

    #[test]
    fn this_machine_is_local_at_any_port() {
        for host in ["localhost", "LOCALHOST:7070", "127.0.0.1:1", "[::1]:80", "[::1]"] {
            assert!(is_local(host), "{host}");
        }
    }

    #[test]
    fn other_hosts_are_not_local() {
        let foreign = [
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example:7070",
            "evil.example:localhost",
            "user@localhost",
            "localhost:80:evil",
            "0.0.0.0",
            "",
        ];
        for host in foreign {
            assert!(!is_local(host), "{host}");
        }
    }
}
