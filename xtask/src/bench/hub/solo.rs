//! What is measured of the hub alone: pages of listings, tokens, and memory.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::super::process::Server;
use super::client::{Client, FILE_BYTES};
use super::report::{Report, median_time};
use super::servers::Programs;
use super::{FILES, Size};

/// How long a page of a thousand entries may take.
const PAGE_MAX: Duration = Duration::from_millis(50);

/// How much slower the thousandth page may be than the first: what noise does.
const LATE_PAGE_MAX: f64 = 1.5;

/// Memory of a hub that has nothing to do.
const IDLE_BYTES_MAX: u64 = 40_000_000;

/// How much more memory streaming may take, however much is streamed.
const STREAM_BYTES_MAX: u64 = 16_000_000;

/// Memory of a hub that took a million small files.
const MANY_BYTES_MAX: u64 = 200_000_000;

/// Measures all of it with one hub.
pub fn measure(programs: &Programs, work: &Path, size: &Size, report: &mut Report) -> Result<()> {
    let place = work.join("solo");
    std::fs::create_dir_all(&place)?;
    let hub = programs.hub(&place)?;
    let client = Client::new(&hub.url(), &place, 0)?;
    // One request, so that what is made at first use is there.
    client.page(None)?;
    let idle = hub.server.resident_bytes()?;
    report.expect(
        format!("idle memory under {}", megabytes(IDLE_BYTES_MAX)),
        megabytes(idle),
        idle < IDLE_BYTES_MAX,
    );
    println!("tokens");
    tokens(&hub.url(), &place, report)?;
    println!("one large file up and down");
    stream(&hub.server, &client, &place, size.large_bytes, report)?;
    println!("a listing of {FILES} files");
    client.fill("files", 0, FILES)?;
    pages(&client, size.repeats, report)?;
    println!("{} files", size.many_files);
    hub.server.forget_peak()?;
    client.fill("many", 0, size.many_files)?;
    let many = hub.server.peak_bytes()?;
    late_pages(&client, size, report)?;
    let many = many.max(hub.server.peak_bytes()?);
    report.expect(
        format!(
            "memory while {} files of {FILE_BYTES} bytes are stored and listed under {}",
            size.many_files,
            megabytes(MANY_BYTES_MAX)
        ),
        megabytes(many),
        many < MANY_BYTES_MAX,
    );
    Ok(())
}

/// The first request with a token pays for its signature, later ones do not.
fn tokens(url: &str, place: &Path, report: &mut Report) -> Result<()> {
    let (mut first, mut later) = (Vec::new(), Vec::new());
    for number in 1..=100 {
        let (one, other) = Client::new(url, place, number)?.twice()?;
        first.push(one);
        later.push(other);
    }
    let (first, later) = (median_time(&first), median_time(&later));
    report.expect(
        "a token is verified once: a later request is faster than the first",
        format!("{} and {}", milliseconds(later), milliseconds(first)),
        later < first,
    );
    Ok(())
}

fn stream(
    server: &Server,
    client: &Client,
    place: &Path,
    bytes: u64,
    report: &mut Report,
) -> Result<()> {
    let file = place.join("large");
    std::fs::File::create(&file)?.set_len(bytes)?;
    server.forget_peak()?;
    let before = server.resident_bytes()?;
    client.stream(&file)?;
    let more = server.peak_bytes()?.saturating_sub(before);
    std::fs::remove_file(&file)?;
    report.expect(
        format!(
            "{} streamed up and down take less than {} more memory",
            megabytes(bytes),
            megabytes(STREAM_BYTES_MAX)
        ),
        megabytes(more),
        more < STREAM_BYTES_MAX,
    );
    Ok(())
}

/// Walks the listing several times; the slowest page of each walk counts.
fn pages(client: &Client, repeats: u32, report: &mut Report) -> Result<()> {
    let (mut slowest, mut all) = (Vec::new(), Vec::new());
    for _ in 0..repeats {
        let (mut worst, mut cursor, mut entries) = (Duration::ZERO, None, 0);
        loop {
            let (took, found, next) = client.page(cursor.as_deref())?;
            entries += found;
            worst = worst.max(took);
            all.push(took);
            cursor = next;
            if cursor.is_none() {
                break;
            }
        }
        // One more is the large file.
        if entries != FILES as usize + 1 {
            bail!("the listing has {entries} entries");
        }
        slowest.push(worst);
    }
    let worst = median_time(&slowest);
    report.expect(
        format!(
            "a page of 1000 of {FILES} files under {}",
            milliseconds(PAGE_MAX)
        ),
        format!(
            "{}, the slowest of a listing {}",
            milliseconds(median_time(&all)),
            milliseconds(worst)
        ),
        worst < PAGE_MAX,
    );
    Ok(())
}

/// Goes to the last whole page and compares it with the first.
fn late_pages(client: &Client, size: &Size, report: &mut Report) -> Result<()> {
    let (mut cursor, mut number, mut before) = (None, 0_u32, None);
    loop {
        let (_, entries, next) = client.page(cursor.as_deref())?;
        if entries < 1000 {
            break;
        }
        number += 1;
        before = std::mem::replace(&mut cursor, next);
        if number == 1000 || cursor.is_none() {
            break;
        }
    }
    let late = before.context("there is but one page")?;
    let (mut first_times, mut late_times) = (Vec::new(), Vec::new());
    for _ in 0..size.repeats {
        first_times.push(client.page(None)?.0);
        late_times.push(client.page(Some(&late))?.0);
    }
    let (first, last) = (median_time(&first_times), median_time(&late_times));
    let ratio = last.as_secs_f64() / first.as_secs_f64();
    report.expect(
        format!("page {number} as fast as the first, within {LATE_PAGE_MAX} x"),
        format!(
            "{} and {}: {ratio:.2} x",
            milliseconds(last),
            milliseconds(first)
        ),
        ratio < LATE_PAGE_MAX,
    );
    Ok(())
}

fn megabytes(bytes: u64) -> String {
    format!("{}.{} MB", bytes / 1_000_000, bytes / 100_000 % 10)
}

fn milliseconds(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1000.0)
}
