//! DEFLATE (RFC 1951) with a preset dictionary: a text that both sides know, which the compressed one may refer back to.
//!
//! RFC 1950 section 2.2 has the same for zlib. Here no checksum names the dictionary: whoever decompresses with another one
//! gets another text or none, and has to tell by other means. A dictionary counts with its last 32 KiB, the window of DEFLATE.

use miniz_oxide::deflate::core::{CompressionStrategy, CompressorOxide, TDEFLFlush, compress_to_output, create_comp_flags_from_zip_params};
use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress as inflate};

/// The level at which DEFLATE takes the shortest time to nearly the shortest result.
const LEVEL: i32 = 6;

/// No zlib header.
const RAW: i32 = 0;

/// The room that decompression begins with, in bytes.
const FIRST_ROOM: usize = 4 * 1024;

/// Compresses `text`, which may repeat what `dictionary` has.
pub(crate) fn compress(text: &[u8], dictionary: &[u8]) -> Vec<u8> {
    // Codes of its own are worth their room where few bytes are in the dictionary, and only there.
    let [own, fixed] = [CompressionStrategy::Default, CompressionStrategy::Fixed].map(|codes| compress_by(codes, text, dictionary));
    if fixed.len() < own.len() { fixed } else { own }
}

fn compress_by(codes: CompressionStrategy, text: &[u8], dictionary: &[u8]) -> Vec<u8> {
    let mut compressor = Box::new(CompressorOxide::new(create_comp_flags_from_zip_params(LEVEL, RAW, codes as i32)));
    // What stands for the dictionary ends at a whole byte, and is left out.
    compress_to_output(&mut compressor, dictionary, TDEFLFlush::Sync, |_| true);
    let mut compressed = vec![];
    compress_to_output(&mut compressor, text, TDEFLFlush::Finish, |bytes| {
        compressed.extend_from_slice(bytes);
        true
    });
    compressed
}

/// The text that was compressed with the same dictionary; `None` when there is none, or it has more than `limit` bytes.
pub(crate) fn decompress(compressed: &[u8], dictionary: &[u8], limit: usize) -> Option<Vec<u8>> {
    let end = dictionary.len().checked_add(limit)?;
    let mut inflator = Box::<DecompressorOxide>::default();
    let (mut read, mut written, mut output) = (0, dictionary.len(), dictionary.to_vec());
    output.resize(end.min(dictionary.len() + FIRST_ROOM), 0);
    loop {
        let rest = compressed.get(read..)?;
        let (status, more_read, more_written) =
            inflate(&mut inflator, rest, &mut output, written, TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF);
        read += more_read;
        written += more_written;
        match status {
            TINFLStatus::Done if read == compressed.len() => {
                output.truncate(written);
                return Some(output.split_off(dictionary.len()));
            }
            TINFLStatus::HasMoreOutput if output.len() < end => output.resize(end.min(output.len().saturating_mul(2)), 0),
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_the_dictionary_has_costs_nearly_nothing() {
        let text: Vec<u8> = (0..2_000_u32).flat_map(|number| number.wrapping_mul(2_654_435_761).to_be_bytes()).collect();
        let (alone, with) = (compress(&text, b""), compress(&text, &text));
        assert!(alone.len() > 6_000 && with.len() < 200, "{} and {}", alone.len(), with.len());
        assert_eq!(decompress(&with, &text, text.len()).unwrap(), text);
    }

    #[test]
    fn no_more_than_the_limit_is_written() {
        for length in [1, 100, FIRST_ROOM, FIRST_ROOM + 1, 64 * 1024, 1024 * 1024] {
            for dictionary in [&b""[..], b"0", &[0; 40_000]] {
                let compressed = compress(&vec![0; length], dictionary);
                assert_eq!(decompress(&compressed, dictionary, length).map(|text| text.len()), Some(length));
                assert_eq!(decompress(&compressed, dictionary, length - 1), None);
                assert_eq!(decompress(&compressed, dictionary, 0), None);
            }
        }
        assert_eq!(decompress(&compress(b"", b"x"), b"x", 0), Some(vec![]));
        assert_eq!(decompress(&compress(b"x", b""), b"", usize::MAX), Some(b"x".to_vec()));
        assert_eq!(decompress(&compress(b"x", b"x"), b"x", usize::MAX), None, "no such room");
    }

    #[test]
    fn what_is_cut_off_or_goes_on_is_no_text() {
        let whole = compress(b"a text of some length, of some length", b"some dictionary");
        for end in 0..whole.len() {
            assert_eq!(decompress(&whole[..end], b"some dictionary", 100), None, "{end}");
        }
        assert_eq!(decompress(&[&whole[..], b"\0"].concat(), b"some dictionary", 100), None);
    }

    #[test]
    fn nothing_before_the_dictionary_is_referred_to() {
        let compressed = compress(b"0123456789abcdef", b"0123456789abcdef");
        assert_eq!(decompress(&compressed, b"abcdef", 100), None);
    }

    /// Of few kinds of bytes, so that it repeats itself; and longer than the window now and then.
    fn text() -> impl Strategy<Value = Vec<u8>> {
        let short = vec(prop_oneof![0..4_u8, any::<u8>()], 0..80);
        (short, prop_oneof![8 => Just(1_usize), 1 => 1..1500_usize]).prop_map(|(text, times)| text.repeat(times))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn every_text_comes_back_with_its_dictionary(text in text(), dictionary in text(), same in any::<bool>()) {
            let dictionary = if same { [dictionary.as_slice(), &text].concat() } else { dictionary };
            let compressed = compress(&text, &dictionary);
            prop_assert_eq!(decompress(&compressed, &dictionary, text.len()), Some(text));
        }

        #[test]
        fn bytes_of_any_kind_stay_below_the_limit(bytes in vec(any::<u8>(), 0..200), dictionary in text(), limit in 0..300_usize) {
            if let Some(text) = decompress(&bytes, &dictionary, limit) {
                prop_assert!(text.len() <= limit);
            }
        }
    }
}
