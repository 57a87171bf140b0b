//! Chooses one of three formats by the `Accept` header.

use axum::http::{HeaderMap, header::ACCEPT};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Page,
    Json,
    Text,
}

impl Form {
    /// Returns the format with the highest weight, the first of equals; text if the client has no preference.
    pub(crate) fn from_accept(headers: &HeaderMap) -> Self {
        let mut wanted = (Self::Text, 0);
        for value in headers.get_all(ACCEPT) {
            for range in value.to_str().unwrap_or_default().split(',') {
                let (form, weight) = Self::of(range);
                if weight > wanted.1 {
                    wanted = (form, weight);
                }
            }
        }
        wanted.0
    }

    /// Returns a media range and its weight in thousandths: 0 for unsupported formats.
    fn of(range: &str) -> (Self, u32) {
        let mut parts = range.split(';').map(str::trim);
        let form = match parts.next().unwrap_or_default().to_ascii_lowercase().as_str() {
            "text/html" | "application/xhtml+xml" => Self::Page,
            "application/json" => Self::Json,
            "text/plain" | "text/*" | "*/*" => Self::Text,
            _ => return (Self::Text, 0),
        };
        let weight = parts.find_map(|part| part.strip_prefix("q=")).map_or(1.0, |weight| {
            weight.parse::<f32>().map_or(0.0, |weight| weight.clamp(0.0, 1.0))
        });
        (form, (weight * 1000.0) as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(accept: &str) -> Form {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, accept.parse().expect("a header value"));
        Form::from_accept(&headers)
    }

    #[test]
    fn a_browser_gets_the_page() {
        let chromium = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8";
        assert_eq!(wanted(chromium), Form::Page);
    }

    #[test]
    fn curl_and_clients_without_accept_get_text() {
        assert_eq!(wanted("*/*"), Form::Text);
        assert_eq!(wanted("image/png"), Form::Text);
        assert_eq!(Form::from_accept(&HeaderMap::new()), Form::Text);
    }

    #[test]
    fn the_highest_weight_wins() {
        assert_eq!(wanted("application/json"), Form::Json);
        assert_eq!(wanted("text/html;q=0.5, application/json;q=0.9"), Form::Json);
        assert_eq!(wanted("text/html;q=0, */*;q=0.1"), Form::Text);
        assert_eq!(wanted("application/json;q=0.2, text/plain;q=0.3"), Form::Text);
    }

    #[test]
    fn of_equal_weights_the_first_wins() {
        assert_eq!(wanted("text/html, application/json"), Form::Page);
        assert_eq!(wanted("application/json;q=0.5, text/html;q=0.5"), Form::Json);
        assert_eq!(wanted("Application/JSON; charset=utf-8"), Form::Json);
    }
}
