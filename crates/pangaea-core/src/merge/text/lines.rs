//! Takes text apart into lines, and puts it together again, with every line end as it was.

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Ending {
    Lf,
    CrLf,
    Mixed,
}

impl Ending {
    /// Tells how the lines of a text end; none if it has no line end.
    pub(super) fn of_text(text: &str) -> Option<Self> {
        let mut endings = text.split_inclusive('\n').filter_map(Self::of_line);
        let first = endings.next()?;
        Some(if endings.all(|ending| ending == first) {
            first
        } else {
            Self::Mixed
        })
    }

    fn of_line(line: &str) -> Option<Self> {
        let content = line.strip_suffix('\n')?;
        Some(if content.ends_with('\r') {
            Self::CrLf
        } else {
            Self::Lf
        })
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Lf | Self::Mixed => "\n",
            Self::CrLf => "\r\n",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NewlineAtEnd {
    Present,
    Missing,
}

/// A line without its ending; the ending is the same for all lines of a uniform text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Line<'a> {
    pub(super) text: &'a str,
    ending: Ending,
}

pub(super) struct Text<'a> {
    pub(super) lines: Vec<Line<'a>>,
    /// None for an empty text.
    pub(super) newline_at_end: Option<NewlineAtEnd>,
}

impl<'a> Text<'a> {
    pub(super) fn split(text: &'a str, uniform: bool) -> Self {
        let mut last = Ending::Lf;
        let line = |line: &'a str| {
            last = Ending::of_line(line).unwrap_or(last);
            let text = line.strip_suffix('\n').unwrap_or(line);
            let is_crlf = text.len() < line.len() && last == Ending::CrLf;
            let text = if is_crlf {
                text.strip_suffix('\r').unwrap_or(text)
            } else {
                text
            };
            Line {
                text,
                ending: if uniform { Ending::Lf } else { last },
            }
        };
        let lines = text.split_inclusive('\n').map(line).collect();
        let newline_at_end = match text.as_bytes().last() {
            None => None,
            Some(b'\n') => Some(NewlineAtEnd::Present),
            Some(_) => Some(NewlineAtEnd::Missing),
        };
        Self {
            lines,
            newline_at_end,
        }
    }
}

pub(super) fn join(
    lines: &[Line<'_>],
    ending: Option<Ending>,
    newline_at_end: NewlineAtEnd,
) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(lines.iter().map(|line| line.text.len() + 2).sum());
    for (index, line) in lines.iter().enumerate() {
        bytes.extend_from_slice(line.text.as_bytes());
        let is_last = index + 1 == lines.len();
        if !is_last || newline_at_end == NewlineAtEnd::Present {
            bytes.extend_from_slice(ending.unwrap_or(line.ending).as_str().as_bytes());
        }
    }
    bytes
}
