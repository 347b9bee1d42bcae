//! The picture of a badge.

use kiln_model::kiln::BadgeState;

/// Draws it. Nothing of a request is in it.
pub(super) fn svg(state: BadgeState) -> String {
    let (text, colour) = match state {
        BadgeState::Passing => ("passing", "#2b8a3e"),
        BadgeState::Failing => ("failing", "#c92a2a"),
        BadgeState::InProgress => ("in progress", "#1864ab"),
        BadgeState::Unknown => ("unknown", "#6c757d"),
    };
    // Widths of Verdana at 11 pixels, about 7 a letter.
    let right = 14 + 7 * text.len();
    let whole = 42 + right;
    let middle = 42 + right / 2;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{whole}\" height=\"20\" role=\"img\" aria-label=\"build: {text}\">\
         <title>build: {text}</title><rect width=\"{whole}\" height=\"20\" rx=\"3\" fill=\"#444\"/>\
         <path d=\"M42 0h{inner}a3 3 0 0 1 3 3v14a3 3 0 0 1-3 3h-{inner}z\" fill=\"{colour}\"/>\
         <g fill=\"#fff\" text-anchor=\"middle\" font-family=\"Verdana,DejaVu Sans,sans-serif\" font-size=\"11\">\
         <text x=\"21\" y=\"14\">build</text><text x=\"{middle}\" y=\"14\">{text}</text></g></svg>\n",
        inner = right - 3,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_state_has_its_text() {
        for (state, text) in [(BadgeState::Passing, "passing"), (BadgeState::Unknown, "unknown")] {
            let svg = svg(state);
            assert!(svg.contains(&format!("<title>build: {text}</title>")), "{svg}");
            assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
        }
    }
}
