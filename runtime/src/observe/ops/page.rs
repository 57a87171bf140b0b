//! The page: one static file, which loads nothing from anywhere.

use std::hash::{BuildHasher, RandomState};

use axum::{
    http::header::CONTENT_SECURITY_POLICY,
    response::{Html, IntoResponse, Response},
};

const PAGE: &str = include_str!("page.html");

/// The placeholder of the nonce in the file.
const NONCE: &str = "{{nonce}}";

/// Only scripts of this response run: text that is injected into the page cannot.
pub(crate) fn page() -> Response {
    let nonce = nonce();
    let policy = format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; \
         img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    ([(CONTENT_SECURITY_POLICY, policy)], Html(PAGE.replace(NONCE, &nonce))).into_response()
}

/// Returns 128 unpredictable bits: hashes under random keys of the system.
fn nonce() -> String {
    let random = || RandomState::new().hash_one("nonce");
    format!("{:016x}{:016x}", random(), random())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_nonce_is_different() {
        assert_ne!(nonce(), nonce());
    }

    #[test]
    fn the_page_loads_nothing_and_writes_text_only() {
        assert_eq!(PAGE.matches(NONCE).count(), 2, "a style and a script");
        let forbidden = [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "http:",
            "https:",
        ];
        for word in forbidden {
            let found = PAGE.replace("http://www.w3.org/2000/svg", "").contains(word);
            assert!(!found, "{word}");
        }
    }
}
