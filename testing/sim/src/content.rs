//! What users write: files that are lists of lines, each line a number that occurs nowhere else, in
//! the form of a text, of JSON or of something that only looks binary. The oracle knows files by
//! these numbers.

use std::collections::BTreeSet;
use std::rc::Rc;

use crate::rng::Rng;
use crate::schedule::Deed;

/// Names a write by the line that only it added.
pub type Token = u32;

/// Content of a file, shared.
pub type Bytes = Rc<[u8]>;

const MARK: &[u8] = b"line ";

/// The lines in a content, in order.
pub fn lines(content: &[u8]) -> Vec<Token> {
    let mut found = Vec::new();
    let mut rest = content;
    while let Some(at) = rest.windows(MARK.len()).position(|window| window == MARK) {
        rest = &rest[at + MARK.len()..];
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit());
        let number = digits.fold(0_u32, |number, digit| {
            number.saturating_mul(10) + u32::from(digit - b'0')
        });
        found.push(number);
    }
    found
}

/// The lines in a content.
pub fn tokens(content: &[u8]) -> BTreeSet<Token> {
    lines(content).into_iter().collect()
}

/// A file of these lines, in the form that belongs to its name.
pub fn render(path: &str, lines: &[Token]) -> Bytes {
    use std::fmt::Write;
    let mut text = String::with_capacity(lines.len() * 12 + 8);
    let is_json = path.ends_with(".json");
    let is_binary = path.ends_with(".bin") || path.ends_with(".dat");
    if is_json && !lines.is_empty() {
        text.push('{');
    }
    for (at, line) in lines.iter().enumerate() {
        // Writing to a string does not fail.
        let _ = match (is_json, at) {
            // One field that everybody changes, and many that one adds and another may take out.
            (true, 0) => write!(text, "\"newest\":\"line {line}\""),
            (true, _) => write!(text, ",\n\"line {line}\":{at}"),
            _ if is_binary => write!(text, "\0line {line}\u{1}"),
            _ => writeln!(text, "line {line}"),
        };
    }
    if is_json && !lines.is_empty() {
        text.push('}');
    }
    text.as_bytes().into()
}

/// What a simple deed makes of a file; none: it is deleted.
pub fn edited(path: &str, before: &[u8], deed: Deed, token: Token, rng: &mut Rng) -> Option<Bytes> {
    let mut list = lines(before);
    match deed {
        Deed::Delete | Deed::DeleteTree => return None,
        Deed::Empty => list.clear(),
        Deed::Replace => list = vec![token],
        Deed::Prepend => list.insert(0, token),
        Deed::Change if !list.is_empty() => {
            let at = rng.index(list.len());
            list[at] = token;
        }
        Deed::Append
        | Deed::Change
        | Deed::Revert
        | Deed::Burst
        | Deed::Rename
        | Deed::Swap
        | Deed::Copy => list.push(token),
    }
    Some(render(path, &list))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_found_in_every_form() {
        for path in ["a.txt", "b.bin", "j.json"] {
            assert_eq!(lines(&render(path, &[7, 12, 3])), [7, 12, 3], "{path}");
            assert!(lines(&render(path, &[])).is_empty());
        }
    }
}
