//! Judges each request at the moment when a device makes it, by what its store holds then.

use gaia::path::FilePath;
use pangaea_core::io::Request;
use pangaea_core::version::ContentHash;

use crate::device::Device;
use crate::oracle::is_copy;
use crate::world::World;

impl World {
    /// What must hold of a request of this device.
    pub(crate) fn watch(&mut self, number: usize, request: &Request) -> Result<(), String> {
        let device = &self.devices[number];
        if let Request::Apply { path, to, .. } = request
            && device.has_folder()
        {
            check_announced(device, path, to.as_ref().map(|file| file.content))
                .map_err(|broken| format!("I-10: device {number}: {broken}"))?;
        }
        Ok(())
    }
}

/// I-10: what is done to the folder stands in the store before, so that no crash makes an edit of it.
/// A conflict copy needs no announcement: found after a crash, it is the copy that was to be made.
fn check_announced(
    device: &Device,
    path: &FilePath,
    wanted: Option<ContentHash>,
) -> Result<(), String> {
    if is_copy(path.as_str()) {
        return Ok(());
    }
    let stored = device.stored_entries().get(path);
    let announced = stored.and_then(|entry| entry.applying.as_deref());
    let announced = announced.map(|target| target.local.file().map(|file| file.content));
    if announced == Some(wanted) {
        return Ok(());
    }
    Err(format!(
        "the folder's {path} is about to change unannounced"
    ))
}
