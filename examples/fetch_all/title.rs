//! The title of a page.

/// Finds the title, as a page should have it.
///
/// It trusts the page, as code that was written against good pages does: a `</title>` that stands before
/// the `<title>` makes the slice end before it begins, and that panics. The demo has such a page; it
/// costs that page alone.
pub(crate) fn title(html: &str) -> Option<&str> {
    let begin = html.find("<title>")? + "<title>".len();
    let end = html.find("</title>")?;
    Some(html[begin..end].trim())
}
