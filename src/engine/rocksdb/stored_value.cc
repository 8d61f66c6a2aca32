#include "engine/rocksdb/stored_value.h"

#include <rocksdb/merge_operator.h>

#include <cstring>

#include "base/coding.h"
#include "engine/rules.h"

namespace shoal::engine {
namespace {

constexpr size_t kStampBytes = sizeof(Stamp);
constexpr size_t kOperandBytes = 1 + sizeof(int64_t);

struct Operand {
  Write::Kind kind;
  int64_t number;
};

std::optional<Operand> decode_operand(std::string_view bytes) {
  Decoder in(bytes);
  const auto kind = static_cast<Write::Kind>(in.u8());
  const auto number = static_cast<int64_t>(in.le64());
  if (!in.ok() || in.remaining() != 0) return std::nullopt;
  if (!is_merge(kind)) return std::nullopt;
  return Operand{kind, number};
}

class CounterMerge final : public rocksdb::MergeOperator {
 public:
  const char* Name() const override { return "shoal.counter.1"; }

  // False stands for corruption: an operand that commit() can not have written.
  bool FullMergeV2(const MergeOperationInput& in, MergeOperationOutput* out) const override {
    std::string value = encode_counter(0);
    if (in.existing_value != nullptr) {
      const Result<StoredView> base =
          decode_stored({in.existing_value->data(), in.existing_value->size()});
      if (!base.ok()) return false;
      value = base->value;
    }
    for (const rocksdb::Slice& bytes : in.operand_list) {
      const std::optional<Operand> operand = decode_operand({bytes.data(), bytes.size()});
      if (!operand.has_value()) return false;
      value = merged_value(operand->kind, value, operand->number);
    }
    out->new_value = encode_stored(0, value);
    return true;
  }

  // Operands of one kind fold without knowing the base; false keeps them apart.
  bool PartialMerge(const rocksdb::Slice&, const rocksdb::Slice& left, const rocksdb::Slice& right,
                    std::string* folded, rocksdb::Logger*) const override {
    const std::optional<Operand> a = decode_operand({left.data(), left.size()});
    const std::optional<Operand> b = decode_operand({right.data(), right.size()});
    if (!a.has_value() || !b.has_value() || a->kind != b->kind) return false;
    *folded =
        encode_operand(a->kind, encode_counter(merge_counters(a->kind, a->number, b->number)));
    return true;
  }
};

}  // namespace

std::string encode_stored(Stamp stamp, std::string_view value) {
  std::string stored;
  stored.reserve(kStampBytes + value.size());
  Encoder out(stored);
  out.le64(stamp);
  out.raw(value);
  return stored;
}

Result<StoredView> decode_stored(std::string_view stored) {
  if (stored.size() < kStampBytes) {
    return error(EBADMSG, "a stored value of {} bytes holds no stamp", stored.size());
  }
  StoredView view;
  std::memcpy(&view.stamp, stored.data(), kStampBytes);
  view.value = stored.substr(kStampBytes);
  return view;
}

std::string encode_operand(Write::Kind kind, std::string_view value) {
  CHECK(is_merge(kind));
  std::string operand;
  operand.reserve(kOperandBytes);
  Encoder out(operand);
  out.u8(static_cast<uint8_t>(kind));
  out.raw(value);
  return operand;
}

std::shared_ptr<rocksdb::MergeOperator> make_counter_merge() {
  return std::make_shared<CounterMerge>();
}

}  // namespace shoal::engine
