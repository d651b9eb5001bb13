//! How a JSON text is laid out: told from a document, and applied to a merged one.

use super::parse::Kind;
use super::parse::Node;

/// The layout of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout {
    /// One level of indentation; none if everything stands on one line.
    indent: Option<String>,
    is_crlf: bool,
    space_after_colon: bool,
    space_after_comma: bool,
}

impl Layout {
    /// Tells the layout of a document.
    pub(super) fn of(root: &Node<'_>) -> Self {
        // A string cannot hold a line break, so each one is layout.
        let indent = root.raw.split_once('\n').map(|(_, rest)| {
            let rest = rest.trim_start_matches(['\r', '\n']);
            rest.chars()
                .take_while(|c| matches!(c, ' ' | '\t'))
                .collect()
        });
        let is_crlf = root.raw.contains("\r\n");
        let space_after_colon = first_object(root)
            .and_then(has_space_after_colon)
            .unwrap_or(indent.is_some());
        let space_after_comma = match first_object(root) {
            // The usual printers put a space behind both or behind neither.
            Some(_) => space_after_colon,
            None => root.raw.contains(", "),
        };
        Self {
            indent,
            is_crlf,
            space_after_colon,
            space_after_comma,
        }
    }

    /// Returns the line end.
    pub(super) fn line_end(&self) -> &'static str {
        if self.is_crlf { "\r\n" } else { "\n" }
    }

    /// Writes a merged document.
    pub(super) fn render(&self, root: &Out<'_>) -> String {
        let mut text = String::new();
        self.write(root, 0, &mut text);
        text
    }

    fn write(&self, out: &Out<'_>, level: usize, text: &mut String) {
        match out {
            Out::Verbatim(raw) => text.push_str(raw),
            Out::Array(elements, shape) => {
                let brackets = Brackets {
                    open: '[',
                    close: ']',
                    shape: *shape,
                    level,
                };
                self.write_items(&brackets, elements, text, |layout, element, text| {
                    layout.write(element, level + 1, text);
                });
            }
            Out::Object(fields, shape) => {
                let brackets = Brackets {
                    open: '{',
                    close: '}',
                    shape: *shape,
                    level,
                };
                self.write_items(&brackets, fields, text, |layout, (name, value), text| {
                    text.push_str(name);
                    text.push_str(if layout.space_after_colon { ": " } else { ":" });
                    layout.write(value, level + 1, text);
                });
            }
        }
    }

    fn write_items<T>(
        &self,
        brackets: &Brackets,
        items: &[T],
        text: &mut String,
        write_item: impl Fn(&Self, &T, &mut String),
    ) {
        text.push(brackets.open);
        let indent = self
            .indent
            .as_deref()
            .filter(|_| !matches!(brackets.shape, Shape::Line { .. }));
        let is_padded = matches!(brackets.shape, Shape::Line { is_padded: true });
        for (place, item) in items.iter().enumerate() {
            match (indent, place) {
                (Some(indent), _) => {
                    text.push_str(if place > 0 { "," } else { "" });
                    self.break_line(indent, brackets.level + 1, text);
                }
                (None, 0) => text.push_str(if is_padded { " " } else { "" }),
                (None, _) if self.space_after_comma || self.indent.is_some() => text.push_str(", "),
                (None, _) => text.push(','),
            }
            write_item(self, item, text);
        }
        match indent {
            Some(indent) if !items.is_empty() => self.break_line(indent, brackets.level, text),
            None if is_padded && !items.is_empty() => text.push(' '),
            Some(_) | None => {}
        }
        text.push(brackets.close);
    }

    fn break_line(&self, indent: &str, level: usize, text: &mut String) {
        text.push_str(self.line_end());
        for _ in 0..level {
            text.push_str(indent);
        }
    }
}

struct Brackets {
    open: char,
    close: char,
    shape: Shape,
    level: usize,
}

/// How one array or object is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// As is usual in the document: one item a line, unless all of it stands on one line.
    AsDocument,
    /// On one line, also where others are not.
    Line {
        /// Whether spaces stand inside the brackets.
        is_padded: bool,
    },
}

impl Shape {
    /// Tells the shape of a container; an empty one has none.
    pub(super) fn of(node: &Node<'_>) -> Option<Self> {
        if node.fields().is_empty() && node.elements().is_empty() {
            return None;
        }
        let is_padded = node.raw.as_bytes().get(1) == Some(&b' ');
        Some(if node.raw.contains('\n') {
            Self::AsDocument
        } else {
            Self::Line { is_padded }
        })
    }
}

/// A merged value, ready to be written.
#[derive(Debug)]
pub(super) enum Out<'a> {
    /// Text that is used as it stands.
    Verbatim(&'a str),
    Array(Vec<Out<'a>>, Shape),
    Object(Vec<(&'a str, Out<'a>)>, Shape),
}

impl<'a> Out<'a> {
    /// Takes a value out of a document with another layout; numbers and strings stay as they are.
    pub(super) fn relaid(node: &Node<'a>) -> Self {
        match &node.kind {
            Kind::Scalar => Self::Verbatim(node.raw),
            Kind::Array(elements) => Self::Array(
                elements.iter().map(Self::relaid).collect(),
                Shape::AsDocument,
            ),
            Kind::Object(fields) => {
                let field = |field: &super::Field<'a>| (field.raw_name, Self::relaid(&field.value));
                Self::Object(fields.iter().map(field).collect(), Shape::AsDocument)
            }
        }
    }
}

fn first_object<'n, 'a>(node: &'n Node<'a>) -> Option<&'n Node<'a>> {
    match &node.kind {
        Kind::Scalar => None,
        Kind::Array(elements) => elements.iter().find_map(first_object),
        Kind::Object(fields) if fields.is_empty() => None,
        Kind::Object(_) => Some(node),
    }
}

/// Looks at the colon behind the first field's name.
fn has_space_after_colon(object: &Node<'_>) -> Option<bool> {
    let field = object.fields().first()?;
    let (_, behind_name) = object.raw.split_once(field.raw_name)?;
    let behind_colon = behind_name.trim_start().strip_prefix(':')?;
    Some(behind_colon.starts_with([' ', '\t']))
}
