// Whatever a kernel might send: every request is decoded, served over the toy file system and
// answered at most once. The input is a sequence of messages, each behind its length in two bytes.
// Handles and nodes of the toy are small numbers, so that mutations find them.
#include <cstddef>
#include <cstdint>
#include <deque>
#include <set>
#include <string>

#include "base/log.h"
#include "fuse/fake_client_test_util.h"
#include "fuse/kernel_abi.h"
#include "fuse/ops.h"
#include "fuse/request.h"

namespace shoal::fuse {
namespace {

class CheckingTransport final : public Transport {
 public:
  Result<size_t> read(MutableBytes) override { return Error(ENODEV); }
  int write(std::span<const ByteView> parts) override {
    size_t bytes = 0;
    for (const ByteView part : parts) bytes += part.size();
    fuse_out_header header;
    std::memcpy(&header, parts[0].data(), sizeof header);
    CHECK(header.len == bytes);
    if (header.unique == 0) return 0;  // a notification
    CHECK(header.error <= 0 && header.error > -4096);
    CHECK(replied_.insert(header.unique).second);
    return 0;
  }
  void expect(uint64_t unique) { replied_.erase(unique); }
  bool replied(uint64_t unique) const { return replied_.contains(unique); }

 private:
  std::set<uint64_t> replied_;  // one thread only
};

void run(std::string_view input) {
  CheckingTransport transport;
  FakeClient client;
  Notifier notifier(transport, NodeIds{});
  static std::string room(1 << 20, '\0');
  {
    Ops ops(client, notifier, {}, [] {});
    uint64_t unique = 0;
    while (input.size() >= 2) {
      const size_t length = static_cast<uint8_t>(input[0]) | static_cast<uint8_t>(input[1]) << 8;
      input.remove_prefix(2);
      std::string message(input.substr(0, length));  // exactly as long: reading beyond is seen
      input.remove_prefix(message.size());
      if (message.size() >= sizeof(fuse_in_header)) {
        const auto claimed = static_cast<uint32_t>(message.size());
        std::memcpy(message.data(), &claimed, sizeof claimed);  // most mutations would end here
      }
      Result<Request> request = decode_request(as_bytes(message));
      if (!request.ok()) {
        (void)request.code();
        continue;
      }
      // Two bits of nothing: the kernel's own promise that numbers do not recur is kept.
      const uint64_t interrupted = unique;
      request->unique = ++unique;
      transport.expect(unique);
      (void)supplementary_groups(*request).code();
      (void)opcode_name(request->opcode);
      ops.serve(*request, Reply(transport, unique, as_mutable_bytes(room)));
      const bool must = Ops::expects_reply(request->opcode) && request->opcode != FUSE_SETLKW;
      CHECK(transport.replied(unique) || !must);
      if (request->opcode == FUSE_SETLKW) {
        fuse_interrupt_in in{interrupted + 1};
        Request interrupt;
        interrupt.opcode = FUSE_INTERRUPT;
        interrupt.arguments = Reply::bytes_of(in);
        ops.serve(interrupt, Reply(transport, ++unique, {}));
        CHECK(transport.replied(in.unique));
      }
    }
  }
}

}  // namespace
}  // namespace shoal::fuse

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const bool quiet = [] {
    shoal::set_log_sink([](shoal::LogLevel, std::string_view) {});
    return true;
  }();
  (void)quiet;
  shoal::fuse::run({reinterpret_cast<const char*>(data), size});
  return 0;
}
