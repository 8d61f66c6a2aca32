#include "data/holder_service.h"

#include "base/log.h"
#include "data/holder_protocol.h"

namespace shoal::data {
namespace {

using CallPtr = std::shared_ptr<rpc::Call>;

class Service final : public HolderService {
 public:
  Service(Staging& staging, Reader& reader) : staging_(staging), reader_(reader) {}
  ~Service() override {
    if (server_ != nullptr) server_->stop(std::chrono::milliseconds(0));
  }

  Status listen(const rpc::Seams& seams, const HolderServiceOptions& options) {
    rpc::ServerOptions server;
    server.authenticate = [volume = options.volume, token = options.token](
                              const rpc::Applicant& who) -> Result<std::string> {
      if (who.volume != volume) return error(ENOENT, "no volume '{}' here", who.volume);
      return token;
    };
    TRY_ASSIGN(server_,
               rpc::RpcServer::start(seams, options.listen, std::move(server),
                                     {.call = [this](const CallPtr& call) { serve(*call); },
                                      .connected = {},
                                      .disconnected = {}}));
    return {};
  }
  NetAddress address() const override { return server_->address(); }

 private:
  void serve(rpc::Call& call) {
    Result<std::string> answer = answer_to(call.method(), call.body());
    if (answer.ok()) return call.reply(std::move(*answer));
    if (!answer.error().is(ENOENT))
      log(LogLevel::kWarn, "what {} asked for: {}", call.peer()->info().who.description,
          answer.error().text());
    call.fail(answer.error());
  }

  Result<std::string> answer_to(uint16_t method, std::string_view body) {
    if (method == kReadStaged) return read(body);
    if (method != kUploadSoon && method != kIsStaged)
      return error(ENOSYS, "method {} is not known here: the peer is newer", method);
    TRY_ASSIGN(const SegmentId id, decode_segment(body));
    const bool here = method == kUploadSoon ? staging_.upload_soon(id) : staging_.holds(id);
    if (!here) return error(ENOENT, "segment {} is not staged here", id.to_string());
    return std::string();
  }

  Result<std::string> read(std::string_view body) {
    TRY_ASSIGN(const StagedRange range, decode_staged_range(body));
    const SegmentId& id = range.slice.segment;
    if (!staging_.holds(id)) return error(ENOENT, "segment {} is not staged here", id.to_string());
    std::string answer(kStagedBytesAt + range.length, '\0');
    TRY(reader_.read(range.slice, range.first, as_mutable_bytes(answer).subspan(kStagedBytesAt),
                     ReadMode::kRandom));
    seal_staged_bytes(answer);
    return answer;
  }

  Staging& staging_;
  Reader& reader_;
  std::unique_ptr<rpc::RpcServer> server_;
};

}  // namespace

Result<std::unique_ptr<HolderService>> HolderService::start(const rpc::Seams& seams,
                                                            Staging& staging, Reader& reader,
                                                            const HolderServiceOptions& options) {
  auto service = std::make_unique<Service>(staging, reader);
  TRY(service->listen(seams, options));
  return std::unique_ptr<HolderService>(std::move(service));
}

}  // namespace shoal::data
