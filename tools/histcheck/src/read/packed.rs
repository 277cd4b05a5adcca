//! gzip and zstd, recognised by their first bytes.

use std::io::{self, BufRead, BufReader, Cursor, Read};

use flate2::bufread::MultiGzDecoder;
use ruzstd::decoding::StreamingDecoder;

use super::foreign;

/// How much of a text is looked at to recognise its format, at most.
const HEAD: usize = 1 << 16;

/// A text from its beginning.
pub type Source = Box<dyn Read + Send>;

/// The source unpacked, where it is packed.
///
/// # Errors
/// Where it cannot be read, with what was read before.
pub fn unpack(source: Source) -> Result<Source, Broken> {
    let (head, whole) = look(source, foreign::is_decided_by)?;
    let buffered = |whole| BufReader::with_capacity(1 << 17, whole);
    let unpacked: Source = match packing(&head) {
        None => return text(&head, whole),
        Some(Packing::Gzip) => Box::new(MultiGzDecoder::new(buffered(whole))),
        Some(Packing::Zstd) => Box::new(Zstd::new(buffered(whole))),
        Some(Packing::Other(tool)) => return Err(packed_by(tool, "packed")),
    };
    let (head, whole) = look(unpacked, foreign::is_decided_by)?;
    match packing(&head) {
        None => text(&head, whole),
        Some(again) => Err(packed_by(again.tool(), "packed twice, the inner time")),
    }
}

/// The source, where its beginning is that of a text.
fn text(head: &[u8], whole: Source) -> Result<Source, Broken> {
    match foreign::what(head) {
        None => Ok(whole),
        Some(what) => {
            let error = io::Error::new(io::ErrorKind::Unsupported, what);
            Err(Broken { head: Vec::new(), error })
        }
    }
}

/// What cannot be unpacked here, with the way out.
fn packed_by(tool: &str, how: &str) -> Broken {
    let error = format!(
        "the history is {how} by {tool}; unpack it and pipe the text in, as {tool} -dc does"
    );
    Broken { head: Vec::new(), error: io::Error::new(io::ErrorKind::Unsupported, error) }
}

enum Packing {
    Gzip,
    Zstd,
    /// By a tool whose data are not unpacked here.
    Other(&'static str),
}

impl Packing {
    fn tool(&self) -> &'static str {
        match self {
            Packing::Gzip => "gzip",
            Packing::Zstd => "zstd",
            Packing::Other(tool) => tool,
        }
    }
}

fn packing(head: &[u8]) -> Option<Packing> {
    match head {
        [0x1f, 0x8b, 8, ..] => Some(Packing::Gzip),
        [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Some(Packing::Zstd),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some(Packing::Other("xz")),
        [b'B', b'Z', b'h', b'1'..=b'9', b'1', b'A', ..] => Some(Packing::Other("bzip2")),
        [0x04, 0x22, 0x4d, 0x18, ..] => Some(Packing::Other("lz4")),
        _ => None,
    }
}

/// Whether a file that begins with `head` is packed.
pub fn is_packed(head: &[u8]) -> bool {
    packing(head).is_some()
}

/// A source that cannot be read on.
#[derive(Debug)]
pub struct Broken {
    /// What was read of it.
    pub head: Vec<u8>,
    /// Why it cannot.
    pub error: io::Error,
}

/// The beginning of a source, until `enough` of it is there, and what gives the whole of it again.
///
/// # Errors
/// Where it cannot be read, with what was read before.
pub fn look(mut source: Source, enough: fn(&[u8]) -> bool) -> Result<(Vec<u8>, Source), Broken> {
    let mut head = Vec::new();
    while !enough(&head) && head.len() < HEAD {
        let mut piece = [0; 4096];
        match source.read(&mut piece) {
            Ok(0) => break,
            Ok(read) => head.extend_from_slice(&piece[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(Broken { head, error }),
        }
    }
    Ok((head.clone(), Box::new(Cursor::new(head).chain(source))))
}

/// All frames of a zstd file, one after the other, as `zstd -d` takes them.
struct Zstd<R: BufRead> {
    /// Between two frames it is the rest of the file.
    frame: Frame<R>,
}

enum Frame<R: BufRead> {
    Between(R),
    Within(Box<StreamingDecoder<R, ruzstd::decoding::FrameDecoder>>),
    /// After an error.
    Nowhere,
}

impl<R: BufRead> Zstd<R> {
    fn new(source: R) -> Zstd<R> {
        Zstd { frame: Frame::Between(source) }
    }
}

impl<R: BufRead> Read for Zstd<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            match std::mem::replace(&mut self.frame, Frame::Nowhere) {
                Frame::Between(mut source) => {
                    if source.fill_buf()?.is_empty() {
                        self.frame = Frame::Between(source);
                        return Ok(0);
                    }
                    self.frame = open(source)?;
                }
                Frame::Within(mut decoder) => {
                    // Its own errors are of many kinds; whatever stops it, the data are not whole.
                    let read = decoder
                        .read(buffer)
                        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
                    self.frame = match read {
                        0 => Frame::Between(decoder.into_inner()),
                        _ => Frame::Within(decoder),
                    };
                    if read > 0 {
                        return Ok(read);
                    }
                }
                Frame::Nowhere => return Err(io::ErrorKind::InvalidData.into()),
            }
        }
    }
}

/// The next frame; one that is to be skipped is passed over.
fn open<R: BufRead>(mut source: R) -> io::Result<Frame<R>> {
    let head = source.fill_buf()?;
    // Both numbers of a skippable frame stand at its beginning; a buffer that ends within them is refilled.
    if let [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] = head {
        let mut numbers = [0; 8];
        source.read_exact(&mut numbers)?;
        let length = u32::from_le_bytes([numbers[4], numbers[5], numbers[6], numbers[7]]);
        let skipped = io::copy(&mut source.by_ref().take(length.into()), &mut io::sink())?;
        return match skipped == u64::from(length) {
            true => Ok(Frame::Between(source)),
            false => Err(io::ErrorKind::UnexpectedEof.into()),
        };
    }
    match StreamingDecoder::new(source) {
        Ok(decoder) => Ok(Frame::Within(Box::new(decoder))),
        Err(error) => Err(io::Error::new(io::ErrorKind::InvalidData, error.to_string())),
    }
}
