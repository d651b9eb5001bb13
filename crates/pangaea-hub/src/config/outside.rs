//! What settings refer to outside of the configuration: files that must be there and good.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use super::error::{ConfigError, Place, Problem};
use super::load::LoadedConfig;

/// A file that is made and removed again to see whether the data folder can be written to.
const PROBE: &str = ".pangaea-hub-check";

impl LoadedConfig {
    /// Looks at everything that the settings refer to, as a start would, and starts nothing.
    ///
    /// # Errors
    /// All that is wrong.
    pub fn check_outside(&self) -> Result<(), ConfigError> {
        let mut problems = Vec::new();
        if let Err(error) = can_store(&self.config.data_dir) {
            let folder = self.config.data_dir.display();
            let message = format!(
                "storage.data_dir: cannot write to {folder}: {error}; check that it, or the \
                 folder above it, exists and belongs to the user that the hub runs as"
            );
            problems.push(Problem::new(Place::Sum, message));
        }
        if problems.is_empty() {
            Ok(())
        } else {
            Err(ConfigError::new(problems))
        }
    }
}

/// Whether files can be made in a folder, or it could be made itself.
fn can_store(folder: &Path) -> io::Result<()> {
    let mut nearest = folder;
    while let Err(error) = fs::metadata(nearest) {
        match nearest.parent() {
            Some(parent) if error.kind() == io::ErrorKind::NotFound => nearest = parent,
            _ => return Err(error),
        }
        if nearest.as_os_str().is_empty() {
            nearest = Path::new(".");
        }
    }
    let probe = nearest.join(PROBE);
    File::create(&probe)?;
    fs::remove_file(&probe)
}
