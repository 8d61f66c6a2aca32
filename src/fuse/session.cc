#include "fuse/session.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/log.h"
#include "fuse/features.h"
#include "fuse/notifier.h"
#include "fuse/ops.h"
#include "fuse/reply.h"
#include "fuse/request.h"

namespace shoal::fuse {
namespace {

// A thread has one buffer. Requests that may get a large reply are short, so theirs is laid behind
// this.
constexpr size_t kShortRequestBytes = 4096;
constexpr size_t kPageBytes = 4096;

class SessionImpl final : public Session {
 public:
  SessionImpl(Transport& transport, client::Client& client, const SessionOptions& options)
      : transport_(transport),
        client_(client),
        options_(options),
        given_out_(client, options.times, options.shared_times),
        notifier_(transport, NodeIds{options.root}, given_out_),
        pool_(
            transport, [this](MutableBytes buffer, size_t length) { serve(buffer, length); },
            options.workers) {
    CHECK(options_.workers.buffer_bytes >= options_.max_write_bytes + 2 * kShortRequestBytes);
    client_.set_invalidation_sink(&notifier_);
    pool_.start();
  }

  ~SessionImpl() override { (void)wait().code(); }

  Status wait_ready() override {
    MutexLock lock(mutex_);
    while (!ready_ && !failure_.has_value()) changed_.wait(mutex_);
    if (failure_.has_value()) return *failure_;
    return {};
  }

  Status wait() override {
    {
      MutexLock lock(mutex_);
      while (joining_) changed_.wait(mutex_);
      if (ended_.has_value()) return *ended_;
      joining_ = true;
    }
    const Error end = pool_.join();
    client_.set_invalidation_sink(nullptr);
    MutexLock lock(mutex_);
    joining_ = false;
    ended_ = end.is(ENODEV) ? Status() : Status(end);
    if (!failure_.has_value()) failure_ = error(ENODEV, "the mount is gone");
    changed_.notify_all();
    return *ended_;
  }

  uint64_t features() const override { return features_.load(); }
  int threads() const override { return pool_.threads(); }
  std::array<uint64_t, kOpcodes> requests() const override {
    std::array<uint64_t, kOpcodes> counts{};
    for (size_t i = 0; i < kOpcodes; ++i) counts[i] = counts_[i].load(std::memory_order_relaxed);
    return counts;
  }

 private:
  void serve(MutableBytes buffer, size_t length);
  void init(const Request& request, const Reply& reply);
  void refuse(ByteView bytes, const Error& error);

  Transport& transport_;
  client::Client& client_;
  const SessionOptions options_;
  GivenOut given_out_;
  Notifier notifier_;
  std::optional<Ops> ops_;  // made by INIT, before anything else comes
  std::atomic<const Ops*> ops_ready_{nullptr};
  std::atomic<uint64_t> features_{0};
  std::array<std::atomic<uint64_t>, kOpcodes> counts_{};
  Mutex mutex_;
  CondVar changed_;
  bool ready_ GUARDED_BY(mutex_) = false;
  bool joining_ GUARDED_BY(mutex_) = false;
  std::optional<Error> failure_ GUARDED_BY(mutex_);
  std::optional<Status> ended_ GUARDED_BY(mutex_);
  WorkerPool pool_;  // last: its threads use everything above
};

void SessionImpl::refuse(ByteView bytes, const Error& error) {
  log(LogLevel::kWarn, "malformed FUSE request: {}", error.text());
  fuse_in_header header;
  constexpr size_t kThroughUnique = offsetof(fuse_in_header, nodeid);
  if (bytes.size() < kThroughUnique) return;  // nobody to answer
  std::memcpy(&header, bytes.data(), kThroughUnique);
  if (header.unique == 0 || !Ops::expects_reply(header.opcode)) return;
  Reply(transport_, header.unique, {}).fail(EIO);
}

void SessionImpl::serve(MutableBytes buffer, size_t length) {
  const Result<Request> request = decode_request(buffer.first(length));
  if (!request.ok()) return refuse(buffer.first(length), request.error());
  MutableBytes room;
  if (length <= kShortRequestBytes) room = buffer.subspan(kShortRequestBytes);
  const Reply reply(transport_, request->unique, room);
  if (request->opcode < kOpcodes) {
    counts_[request->opcode].fetch_add(1, std::memory_order_relaxed);
  }
  if (request->opcode == FUSE_INIT) return init(*request, reply);
  if (ops_ready_.load(std::memory_order_acquire) == nullptr) {
    if (Ops::expects_reply(request->opcode)) reply.fail(EIO);
    return;
  }
  if (request->opcode == FUSE_DESTROY) {
    reply.ok();
    return;
  }
  ops_->serve(*request, reply);
}

void SessionImpl::init(const Request& request, const Reply& reply) {
  Arguments arguments(request.arguments);
  // Kernels without INIT_EXT send the first 16 bytes.
  const auto in = arguments.fixed_at_least<fuse_init_in>(offsetof(fuse_init_in, flags2));
  fuse_init_out out{};
  out.major = kProtocolMajor;
  out.minor = kProtocolMinor;
  if (!arguments.ok() || ops_ready_.load() != nullptr) {
    reply.fail(EINVAL);
    return;
  }
  if (in.major > kProtocolMajor) {  // it will ask again in our version
    reply.ok(out);
    return;
  }
  if (in.major < kProtocolMajor || in.minor < kProtocolMinorMin) {
    reply.fail(EPROTO);
    MutexLock lock(mutex_);
    failure_ = error(EPROTO, "the kernel speaks FUSE protocol {}.{}, at least {}.{} is needed",
                     in.major, in.minor, kProtocolMajor, kProtocolMinorMin);
    changed_.notify_all();
    return;
  }
  uint64_t offered = in.flags;
  if ((in.flags & FUSE_INIT_EXT) != 0) offered |= uint64_t{in.flags2} << 32;
  const uint64_t features = choose_features(offered, options_.disabled_features);
  out.flags = static_cast<uint32_t>(features);
  out.flags2 = static_cast<uint32_t>(features >> 32);
  out.max_readahead = std::max<uint32_t>(in.max_readahead, 1 << 20);
  out.max_background = options_.max_background;
  out.congestion_threshold = static_cast<uint16_t>(options_.max_background * 3 / 4);
  out.max_write = options_.max_write_bytes;
  out.max_pages = static_cast<uint16_t>(options_.max_write_bytes / kPageBytes);
  out.time_gran = 1;
  features_ = features;

  Ops::Options options;
  options.encoder = {NodeIds{options_.root}, {}, options_.block_bytes};
  options.posix_acl = (features & FUSE_DONT_MASK) != 0;
  options.cache_directories = options_.cache_directories;
  ops_.emplace(client_, notifier_, given_out_, options, [this] { pool_.ensure_reader(); });
  ops_ready_.store(&*ops_, std::memory_order_release);
  reply.ok(out);
  if (notifier_.increase_epoch()) given_out_.spare_names();

  const std::string missing = describe_missing(offered, options_.disabled_features);
  log(LogLevel::kInfo, "FUSE {}.{}: {}{}{}; requests of {} KiB, {} in the background", in.major,
      in.minor, describe_features(features), missing.empty() ? "" : "; not offered: ", missing,
      options_.max_write_bytes >> 10, options_.max_background);
  MutexLock lock(mutex_);
  ready_ = true;
  changed_.notify_all();
}

}  // namespace

std::unique_ptr<Session> Session::start(Transport& transport, client::Client& client,
                                        const SessionOptions& options) {
  return std::make_unique<SessionImpl>(transport, client, options);
}

}  // namespace shoal::fuse
