//! What the endings of names say: the types that people keep files of, and no more, since browsers
//! download this table. What is not in it is told by a look at the content.

/// Types and the endings that mean them, sorted by type; lower-case, without the dot.
///
/// Whether two versions are merged as text depends on the type, so three kinds must be here: what
/// is merged in a way of its own (JSON, calendars, contacts), what looks like text but is not to be
/// merged by lines (armoured keys, drawings, models), and what is text in whatever bytes it holds.
const ENDINGS: &[(&str, &str)] = &[
    ("application/atom+xml", "atom"),
    ("application/epub+zip", "epub"),
    ("application/geo+json", "geojson"),
    ("application/gpx+xml", "gpx"),
    ("application/gzip", "gz tgz"),
    ("application/java-archive", "jar"),
    ("application/json", "har json map"),
    ("application/ld+json", "jsonld"),
    ("application/manifest+json", "webmanifest"),
    ("application/msword", "doc dot"),
    (
        "application/octet-stream",
        "bin class dat dll exe img o pyc so",
    ),
    ("application/pdf", "pdf"),
    ("application/pgp-encrypted", "gpg pgp"),
    ("application/pgp-signature", "asc sig"),
    ("application/pkcs7-mime", "p7b p7c p7m p7s"),
    ("application/postscript", "ai eps ps"),
    ("application/rss+xml", "rss"),
    ("application/rtf", "rtf"),
    ("application/sql", "sql"),
    ("application/toml", "toml"),
    ("application/typescript", "cts tsx"),
    ("application/vnd.amazon.ebook", "azw azw3"),
    ("application/vnd.android.package-archive", "apk"),
    ("application/vnd.apple.keynote", "keynote"),
    ("application/vnd.apple.numbers", "numbers"),
    ("application/vnd.apple.pages", "pages"),
    ("application/vnd.google-earth.kml+xml", "kml"),
    ("application/vnd.google-earth.kmz", "kmz"),
    ("application/vnd.ms-excel", "xls xlt"),
    ("application/vnd.ms-excel.sheet.macroenabled.12", "xlsm"),
    ("application/vnd.ms-fontobject", "eot"),
    ("application/vnd.ms-powerpoint", "pps ppt"),
    ("application/vnd.oasis.opendocument.formula", "odf"),
    ("application/vnd.oasis.opendocument.graphics", "odg"),
    ("application/vnd.oasis.opendocument.presentation", "odp"),
    ("application/vnd.oasis.opendocument.spreadsheet", "ods"),
    ("application/vnd.oasis.opendocument.text", "odt"),
    (
        "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        "pptx",
    ),
    (
        "application/vnd.openxmlformats-officedocument.presentationml.slideshow",
        "ppsx",
    ),
    (
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "xlsx",
    ),
    (
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "docx",
    ),
    (
        "application/vnd.openxmlformats-officedocument.wordprocessingml.template",
        "dotx",
    ),
    ("application/vnd.rar", "rar"),
    ("application/vnd.sqlite3", "sqlite sqlite3"),
    ("application/vnd.visio", "vsd"),
    ("application/wasm", "wasm"),
    ("application/x-7z-compressed", "7z"),
    ("application/x-bittorrent", "torrent"),
    ("application/x-bzip2", "bz2"),
    ("application/x-httpd-php", "php"),
    ("application/x-ipynb+json", "ipynb"),
    ("application/x-iso9660-image", "iso"),
    ("application/x-mobipocket-ebook", "mobi"),
    ("application/x-ndjson", "jsonl ndjson"),
    ("application/x-perl", "pl pm"),
    ("application/x-pkcs12", "p12 pfx"),
    ("application/x-sh", "bash sh zsh"),
    ("application/x-subrip", "srt"),
    ("application/x-tar", "tar"),
    ("application/x-tcl", "tcl"),
    ("application/x-tex", "tex"),
    ("application/x-x509-ca-cert", "cer crt der pem"),
    ("application/x-xz", "xz"),
    ("application/xhtml+xml", "xhtml"),
    ("application/xml", "xml xsd xsl xslt"),
    ("application/yaml", "yaml yml"),
    ("application/zip", "zip"),
    ("application/zstd", "zst"),
    ("audio/aac", "aac"),
    ("audio/aiff", "aif aiff"),
    ("audio/amr", "amr"),
    ("audio/flac", "flac"),
    ("audio/midi", "mid midi"),
    ("audio/mp4", "m4a m4b"),
    ("audio/mpeg", "mp3"),
    ("audio/ogg", "oga ogg opus"),
    ("audio/wav", "wav"),
    ("audio/webm", "weba"),
    ("audio/x-matroska", "mka"),
    ("audio/x-ms-wma", "wma"),
    ("font/otf", "otf"),
    ("font/ttf", "ttf"),
    ("font/woff", "woff"),
    ("font/woff2", "woff2"),
    ("image/avif", "avif"),
    ("image/bmp", "bmp"),
    ("image/gif", "gif"),
    ("image/heic", "heic"),
    ("image/heif", "heif"),
    ("image/jpeg", "jfif jpe jpeg jpg"),
    ("image/jxl", "jxl"),
    ("image/png", "png"),
    ("image/svg+xml", "svg"),
    ("image/tiff", "tif tiff"),
    ("image/vnd.adobe.photoshop", "psd"),
    ("image/vnd.djvu", "djv djvu"),
    ("image/vnd.dwg", "dwg"),
    ("image/vnd.dxf", "dxf"),
    ("image/webp", "webp"),
    ("image/x-adobe-dng", "dng"),
    ("image/x-canon-cr2", "cr2"),
    ("image/x-icon", "ico"),
    ("image/x-nikon-nef", "nef"),
    ("image/x-xcf", "xcf"),
    ("message/rfc822", "eml mht"),
    ("model/gltf+json", "gltf"),
    ("model/gltf-binary", "glb"),
    ("model/obj", "obj"),
    ("model/step", "step stp"),
    ("model/stl", "stl"),
    ("text/calendar", "ics ifb"),
    ("text/css", "css"),
    ("text/csv", "csv"),
    ("text/html", "htm html"),
    ("text/javascript", "cjs js jsx mjs"),
    ("text/less", "less"),
    ("text/markdown", "markdown md"),
    (
        "text/plain",
        "c cc cfg conf cpp cs cxx go h hh hpp ini java kt log lua org py r rb rs s swift text txt vb",
    ),
    ("text/tab-separated-values", "tsv"),
    ("text/vcard", "vcard vcf"),
    ("text/vtt", "vtt"),
    ("text/x-scss", "scss"),
    ("video/3gpp", "3gp"),
    ("video/mp2t", "m2ts mts ts"),
    ("video/mp4", "m4v mp4"),
    ("video/mpeg", "mpe mpeg mpg"),
    ("video/ogg", "ogv"),
    ("video/quicktime", "mov"),
    ("video/webm", "webm"),
    ("video/x-flv", "flv"),
    ("video/x-matroska", "mkv"),
    ("video/x-ms-wmv", "wmv"),
    ("video/x-msvideo", "avi"),
];

/// Returns the type that an ending means; none if it is not known. `ending` is lower-case.
pub(super) fn type_of(ending: &str) -> Option<&'static str> {
    let means = |(_, endings): &&(&str, &str)| endings.split(' ').any(|known| known == ending);
    ENDINGS
        .iter()
        .find(means)
        .map(|(media_type, _)| *media_type)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::MediaType;
    use std::collections::BTreeSet;

    #[test]
    fn the_table_is_in_order_and_names_no_ending_twice() {
        assert!(ENDINGS.is_sorted_by(|a, b| a.0 < b.0));
        let mut seen = BTreeSet::new();
        for (media_type, endings) in ENDINGS {
            assert_eq!(*media_type, media_type.to_ascii_lowercase());
            assert!(endings.split(' ').is_sorted(), "{endings}");
            for ending in endings.split(' ') {
                assert!(!ending.is_empty() && ending == ending.to_ascii_lowercase());
                assert!(seen.insert(ending), "{ending} is there twice");
                assert_eq!(type_of(ending), Some(*media_type));
            }
        }
        assert_eq!(type_of(""), None);
        assert_eq!(type_of("gz tgz"), None);
    }

    /// What is merged as text or as JSON is decided by these.
    #[test]
    fn the_table_tells_text_from_what_only_looks_like_it() {
        let of = |ending: &str| MediaType::of(&format!("a.{ending}"), b"looks like text\n");
        for ending in "geojson har ipynb json jsonld map webmanifest gltf".split(' ') {
            assert!(of(ending).is_json(), "{ending}");
        }
        let text = "bash c cjs cpp csv cts eml go gpx html ics java js jsonl md mjs org php py rs sh sql srt \
                    svg tex toml ts tsx txt vcf xml yml unknown";
        for ending in text.split_ascii_whitespace() {
            assert!(of(ending).is_text() && !of(ending).is_json(), "{ending}");
        }
        let other = "ai asc crt docx dxf eps gpg jpg mp3 obj odt p7s pdf pem png ps rtf sig sqlite step stl xlsx zip";
        for ending in other.split(' ') {
            assert!(!of(ending).is_text(), "{ending}");
        }
    }
}
