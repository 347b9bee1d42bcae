//! Tables, as `ls` commands print them.

use super::text::width;

/// Lays rows out in columns, two spaces between; the columns in `right` are aligned to the right. The first row is the
/// heading.
pub(crate) fn aligned<const N: usize>(rows: &[[String; N]], right: &[usize]) -> String {
    let mut widths = [0; N];
    for row in rows {
        for (most, cell) in widths.iter_mut().zip(row) {
            *most = width(cell).max(*most);
        }
    }
    let mut out = String::new();
    for row in rows {
        let mut line = String::new();
        for ((n, cell), most) in row.iter().enumerate().zip(widths) {
            let pad = " ".repeat(most.saturating_sub(width(cell)));
            if right.contains(&n) {
                line.extend([&pad, cell.as_str()]);
            } else {
                line.extend([cell.as_str(), &pad]);
            }
            line.push_str("  ");
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// How long ago, in the largest unit.
pub(crate) fn ago(ns: i64) -> String {
    let seconds = ns / 1_000_000_000;
    match seconds {
        ..60 => "now".to_owned(),
        60..3_600 => format!("{} min ago", seconds / 60),
        3_600..86_400 => format!("{} h ago", seconds / 3_600),
        _ => format!("{} d ago", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [["A", "SIZE", "C"].map(str::to_owned), ["äö", "1", "x"].map(str::to_owned)];
        assert_eq!(aligned(&rows, &[1]), "A   SIZE  C\näö     1  x\n");
    }

    #[test]
    fn ages() {
        let minute = 60_000_000_000;
        let shown = [-minute, 0, minute, 120 * minute, 72 * 60 * minute].map(ago);
        assert_eq!(shown, ["now", "now", "1 min ago", "2 h ago", "3 d ago"]);
    }
}
