// A Reader over files whose bytes the test knows, read as the client reads them.
#pragma once

#include <map>

#include "data/reader.h"
#include "data/reader_test_util.h"

namespace shoal::data {

// A file: its bytes, and where they are.
struct TestFile {
  std::string bytes;
  std::vector<format::Extent> extents;

  void add(const format::Target& target, std::string_view slice) {
    extents.push_back({bytes.size(), slice.size(), target, 0});
    bytes += slice;
  }
};

class ReaderTest : public ::testing::Test {
 protected:
  ReaderTest() { open(); }
  ~ReaderTest() override { close(); }

  void close() {
    world->store_executor.release();  // flights under way end
    world->executor.release();
    reader.reset();
  }
  void open() {
    reader =
        Reader::make({world->store, *world->cache, world->executor, world->clock, world->volume},
                     nullptr, options);
    pattern = reader->make_pattern();
  }
  // A new process with an empty disk cache of so many bytes.
  void open_cold(uint64_t cache_bytes = 64 * kMiB) {
    close();
    world = std::make_unique<ReaderWorld>(cache_bytes);
    for (const auto& [id, bytes] : segments) world->put(id, bytes);
    open();
  }
  // A new process: memory forgets everything, the disk cache nothing.
  void open_again() {
    close();
    open();
    world->store.take_gets();
  }

  // A segment of slices of these lengths, which follow each other in the file.
  void write(TestFile& file, uint64_t number, const std::vector<uint64_t>& lengths) {
    SegmentBuilder segment(segment_id(number));
    for (size_t i = 0; i < lengths.size(); ++i) {
      const std::string slice = data::pattern(number * 1000 + i, lengths[i]);
      file.add(segment.add(slice), slice);
    }
    store(number, segment.finish());
    footers[number] = segment.footer_offset();
  }
  void store(uint64_t number, std::string bytes) {
    world->put(segment_id(number), bytes);
    segments[segment_id(number)] = std::move(bytes);
  }
  // In the bucket, until store() heals it.
  void corrupt_object(uint64_t number, uint64_t at) {
    std::string bytes = segments.at(segment_id(number));
    bytes[at] = static_cast<char>(bytes[at] ^ 0x10);
    world->put(segment_id(number), bytes);
  }
  void heal_object(uint64_t number) {
    world->put(segment_id(number), segments.at(segment_id(number)));
  }

  // Reads every extent's part of the range, as the client does. The bytes, or "errno N".
  std::string read_pieces(const TestFile& file, uint64_t offset, size_t length, ReadMode how) {
    std::string bytes(length, '\0');
    for (const format::Extent& extent : file.extents) {
      const uint64_t begin = std::max(offset, extent.offset);
      const uint64_t end = std::min(offset + length, extent.end());
      if (begin >= end) continue;
      const Status read =
          reader->read(extent.target, extent.first + (begin - extent.offset),
                       as_mutable_bytes(bytes).subspan(begin - offset, end - begin), how);
      if (!read.ok()) return failure(read.error().code());
    }
    return bytes;
  }
  // With read-ahead.
  std::string read_file(const TestFile& file, uint64_t offset, size_t length) {
    size_t first = 0;
    while (first < file.extents.size() && file.extents[first].end() <= offset) ++first;
    mode = reader->begin(*pattern, offset, length, std::span(file.extents).subspan(first));
    return read_pieces(file, offset, length, mode);
  }
  void expect_right(const TestFile& file, uint64_t offset, size_t length, ReadMode how) {
    EXPECT_TRUE(read_pieces(file, offset, length, how) == file.bytes.substr(offset, length))
        << "bytes at " << offset << "+" << length;
  }
  void expect_stream_right(const TestFile& file, uint64_t offset, size_t length) {
    EXPECT_TRUE(read_file(file, offset, length) == file.bytes.substr(offset, length))
        << "bytes at " << offset << "+" << length;
  }
  static std::string failure(int code) { return "errno " + std::to_string(code); }
  size_t gets() { return world->store.take_gets().size(); }

  QuietLog quiet;
  std::unique_ptr<ReaderWorld> world = std::make_unique<ReaderWorld>();
  ReaderOptions options;
  std::unique_ptr<Reader> reader;
  std::shared_ptr<ReadPattern> pattern;  // of the file that read_file reads
  ReadMode mode = ReadMode::kRandom;     // of the last read_file
  std::map<SegmentId, std::string> segments;
  std::map<uint64_t, uint64_t> footers;  // where each segment's begins
};

}  // namespace shoal::data
