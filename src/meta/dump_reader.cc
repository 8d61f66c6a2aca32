#include "meta/dump_reader.h"

namespace shoal::meta {

Result<std::unique_ptr<DumpReader>> DumpReader::open(DumpSource source) {
  std::unique_ptr<DumpReader> reader(new DumpReader(std::move(source)));
  const auto magic = reader->read(format::kDumpMagic.size());
  if (!magic.ok() && !magic.error().is(EBADMSG)) return magic.error();
  if (!magic.ok() || *magic != format::kDumpMagic) {
    return error(EBADMSG, "this is no dump of shoal; make one with: shoal dump META-URL FILE");
  }
  TRY_ASSIGN(const Part part, reader->part(0));
  if (part.header.part != format::DumpPart::kHeader)
    return error(EBADMSG, "the dump does not begin with its header; copy the dump again");
  TRY_ASSIGN(reader->header_, format::decode_dump_header(part.body));
  reader->seed_ = format::dump_seed(reader->header_.id);
  return reader;
}

Result<std::string> DumpReader::read(size_t n) {
  std::string bytes(n, '\0');
  for (size_t at = 0; at < n;) {
    TRY_ASSIGN(const size_t got, source_(as_mutable_bytes(bytes).subspan(at)));
    if (got == 0) {
      return error(EBADMSG, "the dump ends in the middle, in its part {}; copy the dump again",
                   number_);
    }
    at += got;
  }
  return bytes;
}

Result<DumpReader::Part> DumpReader::part(uint32_t seed) {
  TRY_ASSIGN(const std::string head, read(format::kDumpPartHeaderBytes));
  Part part;
  TRY_ASSIGN(part.header, format::decode_dump_part_header(head));
  TRY_ASSIGN(part.body, read(part.header.body_bytes));
  const Status checked = format::check_dump_part(head, part.body, seed);
  if (!checked.ok()) return checked.error().in(fmt::format("part {} of the dump", number_));
  if (part.header.number != number_) {
    return error(EBADMSG, "part {} of the dump comes where {} should be; copy the dump again",
                 part.header.number, number_);
  }
  ++number_;
  return part;
}

Status DumpReader::at_end() {
  char more = 0;
  TRY_ASSIGN(const size_t got, source_(MutableBytes(reinterpret_cast<std::byte*>(&more), 1)));
  if (got == 0) return {};
  return error(EBADMSG, "something follows the end of the dump; copy the dump again");
}

Result<std::optional<DumpedChunk>> DumpReader::next() {
  if (footer_) return std::optional<DumpedChunk>();
  TRY_ASSIGN(Part part, this->part(seed_));
  if (part.header.part == format::DumpPart::kFooter) {
    TRY_ASSIGN(format::DumpFooter footer, format::decode_dump_footer(part.body));
    if (footer.chunks != part.header.number - 1)
      return error(EBADMSG, "the dump has {} chunks, its footer counts {}; copy the dump again",
                   part.header.number - 1, footer.chunks);
    TRY(at_end());
    footer_ = std::move(footer);
    return std::optional<DumpedChunk>();
  }
  if (part.header.part != format::DumpPart::kChunk)
    return error(EBADMSG, "part {} of the dump is a second header; copy the dump again",
                 part.header.number);
  DumpedChunk chunk{part.header.number, {}};
  TRY_ASSIGN(chunk.items, format::decode_dump_chunk(part.body));
  if (chunk.items.front().key <= last_key_)
    return error(EBADMSG, "part {} of the dump is not behind the one before; copy the dump again",
                 chunk.number);
  last_key_ = chunk.items.back().key;
  return std::optional(std::move(chunk));
}

}  // namespace shoal::meta
