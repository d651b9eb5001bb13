//! Scopes: what the owner of a bucket lets a token do, written into the token by the owner's key.

use serde::Deserialize;
use serde::Serialize;

use crate::limits::TOKEN_SCOPES_MAX;
use crate::path::FilePath;
use crate::path::PathError;

/// How the names of historical files begin, which archival writes leave behind.
pub const HISTORY_PREFIX: &str = ".history.";

/// What a scope speaks about. There is no archival kind for deletes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ScopeKind {
    /// Stores exactly this file.
    PutFile,
    /// Stores whatever begins with this text.
    PutFilePrefix,
    /// Deletes exactly this file.
    DeleteFile,
    /// Deletes whatever begins with this text.
    DeleteFilePrefix,
    /// Stores or deletes exactly this file, and the old one is kept under another name.
    PutFileArchival,
    /// As [`ScopeKind::PutFileArchival`], for whatever begins with this text.
    PutFileArchivalPrefix,
}

impl ScopeKind {
    /// Every kind.
    pub const ALL: [Self; 6] = [
        Self::PutFile,
        Self::PutFilePrefix,
        Self::DeleteFile,
        Self::DeleteFilePrefix,
        Self::PutFileArchival,
        Self::PutFileArchivalPrefix,
    ];

    /// The name in tokens.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PutFile => "putFile",
            Self::PutFilePrefix => "putFilePrefix",
            Self::DeleteFile => "deleteFile",
            Self::DeleteFilePrefix => "deleteFilePrefix",
            Self::PutFileArchival => "putFileArchival",
            Self::PutFileArchivalPrefix => "putFileArchivalPrefix",
        }
    }

    /// The kind with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// One scope: a kind, and the file name or prefix that it is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope {
    /// What may be done.
    pub kind: ScopeKind,
    /// To which path, or to all paths that begin so. The comparison knows no segments: `foo`
    /// as a prefix covers `foobar`; write `foo/` for a folder. An empty domain covers nothing.
    pub domain: String,
}

impl Scope {
    /// A scope.
    #[must_use]
    pub fn new(kind: ScopeKind, domain: impl Into<String>) -> Self {
        let domain = domain.into();
        Self { kind, domain }
    }

    fn covers(&self, path: &FilePath) -> bool {
        let domain = without_leading_aliases(&self.domain);
        if domain.is_empty() {
            return false;
        }
        match self.kind {
            ScopeKind::PutFile | ScopeKind::DeleteFile | ScopeKind::PutFileArchival => {
                path.as_str() == domain
            }
            ScopeKind::PutFilePrefix
            | ScopeKind::DeleteFilePrefix
            | ScopeKind::PutFileArchivalPrefix => path.as_str().starts_with(domain),
        }
    }

    fn group(&self) -> Group {
        match self.kind {
            ScopeKind::PutFile | ScopeKind::PutFilePrefix => Group::Put,
            ScopeKind::DeleteFile | ScopeKind::DeleteFilePrefix => Group::Delete,
            ScopeKind::PutFileArchival | ScopeKind::PutFileArchivalPrefix => Group::Archival,
        }
    }
}

/// A stock hub compares a domain with the path as sent, where `/a` and `./a` are the file `a`.
/// Paths arrive here without such beginnings, so domains have to lose them too.
fn without_leading_aliases(domain: &str) -> &str {
    let mut rest = domain;
    while let Some(shorter) = rest.strip_prefix('/').or_else(|| rest.strip_prefix("./")) {
        rest = shorter;
    }
    rest
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Group {
    Put,
    Delete,
    Archival,
}

/// The scopes of one token; none at all means no restriction.
///
/// Scopes of one group (put, delete, archival) restrict what that group is about and leave the
/// others free: a token with delete scopes only may store anywhere. Archival scopes restrict
/// both.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scopes {
    list: Vec<Scope>,
}

/// Why a list of scopes makes its token invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScopeError {
    /// A name that is no [`ScopeKind`].
    #[error("there is no scope called `{name}`")]
    UnknownKind {
        /// The name found.
        name: String,
    },
    /// More than [`TOKEN_SCOPES_MAX`].
    #[error("a token has at most {TOKEN_SCOPES_MAX} scopes, this one has {count}")]
    TooMany {
        /// How many there are.
        count: usize,
    },
}

/// What the scopes of a token say about one operation on one path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing stands against it.
    Allowed,
    /// The archival scopes do not cover the path.
    OutsideArchival,
    /// The put scopes (for a store) or delete scopes (for a delete) do not cover the path.
    OutsideScopes,
}

impl Scopes {
    /// Checks the number of scopes.
    ///
    /// # Errors
    /// [`ScopeError::TooMany`].
    pub fn new(list: Vec<Scope>) -> Result<Self, ScopeError> {
        if list.len() > TOKEN_SCOPES_MAX {
            return Err(ScopeError::TooMany { count: list.len() });
        }
        Ok(Self { list })
    }

    /// Reads the scopes of a token.
    ///
    /// # Errors
    /// See [`ScopeError`].
    pub fn from_wire(wire: Vec<ScopeWire>) -> Result<Self, ScopeError> {
        if wire.len() > TOKEN_SCOPES_MAX {
            return Err(ScopeError::TooMany { count: wire.len() });
        }
        let list = wire
            .into_iter()
            .map(
                |ScopeWire { scope, domain }| match ScopeKind::from_name(&scope) {
                    Some(kind) => Ok(Scope { kind, domain }),
                    None => Err(ScopeError::UnknownKind { name: scope }),
                },
            )
            .collect::<Result<_, _>>()?;
        Ok(Self { list })
    }

    /// The scopes as tokens write them.
    #[must_use]
    pub fn to_wire(&self) -> Vec<ScopeWire> {
        self.list
            .iter()
            .map(|scope| ScopeWire {
                scope: scope.kind.as_str().to_owned(),
                domain: scope.domain.clone(),
            })
            .collect()
    }

    /// The scopes in the order of the token.
    #[must_use]
    pub fn as_slice(&self) -> &[Scope] {
        &self.list
    }

    /// Whether stores and deletes keep the old file under a historical name.
    #[must_use]
    pub fn is_archival(&self) -> bool {
        self.restricts(Group::Archival)
    }

    /// Whether a file may be stored at `path`.
    #[must_use]
    pub fn store(&self, path: &FilePath) -> Verdict {
        self.judge(Group::Put, path)
    }

    /// Whether the file at `path` may be deleted.
    #[must_use]
    pub fn delete(&self, path: &FilePath) -> Verdict {
        self.judge(Group::Delete, path)
    }

    fn judge(&self, group: Group, path: &FilePath) -> Verdict {
        if !self.allows(Group::Archival, path) {
            Verdict::OutsideArchival
        } else if !self.allows(group, path) {
            Verdict::OutsideScopes
        } else {
            Verdict::Allowed
        }
    }

    fn restricts(&self, group: Group) -> bool {
        self.list.iter().any(|scope| scope.group() == group)
    }

    fn allows(&self, group: Group, path: &FilePath) -> bool {
        let mut of_group = self
            .list
            .iter()
            .filter(|scope| scope.group() == group)
            .peekable();
        of_group.peek().is_none() || of_group.any(|scope| scope.covers(path))
    }
}

/// A scope as JSON in a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScopeWire {
    /// The name of the kind.
    pub scope: String,
    /// The path or prefix.
    pub domain: String,
}

/// The name that an archival write or delete gives to the old file.
///
/// `random` picks the ten letters that keep two writes of one millisecond apart.
///
/// # Errors
/// [`PathError::SegmentTooLong`] and its like, where the file name leaves no room.
pub fn historical_path(
    path: &FilePath,
    now_ms: u64,
    random: [u8; 10],
) -> Result<FilePath, PathError> {
    const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let unique: String = random
        .iter()
        .map(|byte| char::from(LETTERS[usize::from(*byte) % LETTERS.len()]))
        .collect();
    path.with_file_name(&format!(
        "{HISTORY_PREFIX}{now_ms}.{unique}.{}",
        path.file_name()
    ))
}

/// Whether a path names a historical file, which archival tokens do not see in listings.
#[must_use]
pub fn is_historical(path: &str) -> bool {
    let name = path.rsplit_once('/').map_or(path, |(_, name)| name);
    name.starts_with(HISTORY_PREFIX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ScopeKind::*;
    use Verdict::*;

    fn path(text: &str) -> FilePath {
        FilePath::parse(text).unwrap()
    }

    fn check(scopes: &[(ScopeKind, &str)], at: &str, store: Verdict, delete: Verdict) {
        let list = scopes
            .iter()
            .map(|(kind, domain)| Scope::new(*kind, *domain));
        let scopes = Scopes::new(list.collect()).unwrap();
        assert_eq!(
            scopes.store(&path(at)),
            store,
            "store {at} under {scopes:?}"
        );
        assert_eq!(
            scopes.delete(&path(at)),
            delete,
            "delete {at} under {scopes:?}"
        );
    }

    #[test]
    fn each_group_restricts_itself_only() {
        check(&[], "a", Allowed, Allowed);
        check(&[(PutFile, "a")], "a", Allowed, Allowed);
        check(&[(PutFile, "a")], "ab", OutsideScopes, Allowed);
        check(&[(PutFilePrefix, "a")], "ab", Allowed, Allowed);
        check(&[(PutFilePrefix, "a/")], "ab", OutsideScopes, Allowed);
        check(&[(DeleteFile, "a")], "b", Allowed, OutsideScopes);
        check(&[(DeleteFilePrefix, "a/")], "a/b", Allowed, Allowed);
        check(
            &[(PutFile, "a"), (DeleteFile, "b")],
            "b",
            OutsideScopes,
            Allowed,
        );
        check(
            &[(PutFile, "a"), (PutFilePrefix, "c/")],
            "c/d",
            Allowed,
            Allowed,
        );
    }

    #[test]
    fn an_empty_domain_covers_nothing_and_still_restricts() {
        for domain in ["", "/", "./", "//"] {
            check(&[(PutFilePrefix, domain)], "a", OutsideScopes, Allowed);
            check(&[(DeleteFilePrefix, domain)], "a", Allowed, OutsideScopes);
        }
        check(
            &[(PutFilePrefix, ""), (PutFile, "a")],
            "a",
            Allowed,
            Allowed,
        );
    }

    #[test]
    fn archival_scopes_restrict_both_and_come_first() {
        check(&[(PutFileArchival, "a")], "a", Allowed, Allowed);
        check(
            &[(PutFileArchival, "a")],
            "b",
            OutsideArchival,
            OutsideArchival,
        );
        check(&[(PutFileArchivalPrefix, "a")], "ab", Allowed, Allowed);
        check(
            &[(PutFileArchivalPrefix, "a"), (PutFile, "b")],
            "a",
            OutsideScopes,
            Allowed,
        );
        let list = vec![Scope::new(PutFileArchivalPrefix, "a")];
        assert!(Scopes::new(list).unwrap().is_archival());
    }

    #[test]
    fn domains_may_be_spelled_with_leading_aliases() {
        check(&[(PutFile, "/a/b")], "a/b", Allowed, Allowed);
        check(&[(PutFilePrefix, "./a")], "a/b", Allowed, Allowed);
        check(&[(PutFilePrefix, ".")], ".hidden", Allowed, Allowed);
        check(&[(PutFilePrefix, ".")], "open", OutsideScopes, Allowed);
    }

    #[test]
    fn unknown_kinds_and_long_lists_are_refused() {
        let wire = |scope: &str| ScopeWire {
            scope: scope.into(),
            domain: "a".into(),
        };
        let error = Scopes::from_wire(vec![wire("deleteFileArchival")]).unwrap_err();
        assert_eq!(
            error,
            ScopeError::UnknownKind {
                name: "deleteFileArchival".into()
            }
        );
        assert!(Scopes::from_wire(vec![wire("putFile"); 8]).is_ok());
        let error = Scopes::from_wire(vec![wire("putFile"); 9]).unwrap_err();
        assert_eq!(error, ScopeError::TooMany { count: 9 });
        for kind in ScopeKind::ALL {
            assert_eq!(ScopeKind::from_name(kind.as_str()), Some(kind));
        }
    }

    #[test]
    fn historical_names_stay_in_their_folder() {
        let old = historical_path(
            &path("d/f.txt"),
            1_600_000_000_123,
            [0, 9, 10, 35, 36, 61, 62, 1, 2, 255],
        );
        assert_eq!(
            old.unwrap().as_str(),
            "d/.history.1600000000123.09AZaz0127.f.txt"
        );
        assert!(is_historical("d/.history.1.x.f") && is_historical(".history."));
        assert!(!is_historical(".history.d/f"));
        assert!(historical_path(&path(&"x".repeat(250)), 0, [0; 10]).is_err());
    }
}
