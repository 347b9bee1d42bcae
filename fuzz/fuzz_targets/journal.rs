#![no_main]
//! Journal records and frames from arbitrary bytes: no panic, no unbounded memory, and what decodes is numbered.

use kiln_wire::{
    frame::FrameBuffer,
    journal::{Decoder, file_header},
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut decoder = Decoder::new();
    decoder.push(&file_header());
    let mut next = 0;
    for piece in bytes.chunks(97) {
        decoder.push(piece);
        while let Ok(Some(record)) = decoder.next_record() {
            assert_eq!(record.seq, next);
            next += 1;
        }
    }
    let mut frames = FrameBuffer::new();
    for piece in bytes.chunks(61) {
        frames.push(piece);
        while let Ok(Some(frame)) = frames.next_frame() {
            let _entry = kiln_wire::agent::decode::<kiln_wire::agent::Entry>(&frame).is_ok();
            let _message = kiln_wire::agent::decode::<kiln_wire::agent::FromAgent>(&frame).is_ok();
        }
    }
});
