// Reads a dump from a stream, part by part, and verifies each before anybody sees it.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "format/dump.h"

namespace shoal::meta {

// Fills as much of `into` as it likes, at least one byte; 0: the stream ends.
using DumpSource = std::function<Result<size_t>(MutableBytes into)>;

struct DumpedChunk {
  uint64_t number = 0;  // from 1
  std::vector<format::DumpItem> items;
};

class DumpReader {
 public:
  // Reads the header. EBADMSG when it is no dump or damaged, ENOTSUP when a newer shoal made it.
  static Result<std::unique_ptr<DumpReader>> open(DumpSource source);
  const format::DumpHeader& header() const { return header_; }

  // The next chunk; nullopt: the footer was reached and nothing is behind it. EBADMSG when the
  // stream is damaged or ends before its footer.
  Result<std::optional<DumpedChunk>> next();
  // REQUIRES next() has said nullopt.
  const format::DumpFooter& footer() const { return *footer_; }

 private:
  explicit DumpReader(DumpSource source) : source_(std::move(source)) {}
  struct Part {
    format::DumpPartHeader header;
    std::string body;
  };
  Result<std::string> read(size_t n);
  Result<Part> part(uint32_t seed);
  Status at_end();

  DumpSource source_;
  format::DumpHeader header_;
  std::optional<format::DumpFooter> footer_;
  uint32_t seed_ = 0;
  uint64_t number_ = 0;  // of the next part
  std::string last_key_;
};

}  // namespace shoal::meta
