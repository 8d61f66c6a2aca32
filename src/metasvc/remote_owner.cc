#include "metasvc/remote_owner.h"

#include <algorithm>

#include "metasvc/ask.h"
#include "metasvc/job_methods.h"

namespace shoal::metasvc {
namespace {

class RemoteMaintenance final : public meta::Maintenance {
 public:
  explicit RemoteMaintenance(Transport& transport) : transport_(transport) {}

  Result<std::vector<meta::TrashEntry>> trash_list(size_t limit) override {
    return ask(transport_, {}, TrashList{.limit = limit});
  }
  Result<std::pair<Ino, std::string>> trash_restore(
      Ino ino, std::optional<std::pair<Ino, std::string>> place) override {
    TrashRestore arguments{.ino = ino};
    if (place) arguments.place = Place{place->first, std::move(place->second)};
    TRY_ASSIGN(Place restored, ask(transport_, {}, std::move(arguments)));
    return std::pair(restored.parent, std::move(restored.name));
  }
  Result<uint64_t> trash_empty(uint32_t days) override {
    return ask(transport_, {}, TrashEmpty{.days = days});
  }
  Result<uint64_t> reclaim(size_t inodes_max) override {
    return ask(transport_, {}, Reclaim{.inodes_max = inodes_max});
  }
  Result<std::vector<meta::SegmentInfo>> segments(const SegmentId& after, size_t limit) override {
    return ask(transport_, {}, Segments{.after = after, .limit = limit});
  }
  Result<bool> segment_dying(const SegmentId& id) override {
    return ask(transport_, {}, SegmentDying{.id = id});
  }
  Status segment_forget(const SegmentId& id) override {
    return tell(transport_, {}, SegmentForget{.id = id});
  }
  Status segment_lost(const SegmentId& id) override {
    return tell(transport_, {}, SegmentLost{.id = id});
  }
  Result<std::vector<Reference>> references(const SegmentId& id,
                                            const std::vector<Ino>& writers) override {
    return ask(transport_, {}, References{.id = id, .writers = writers});
  }
  Result<size_t> move_extents(const meta::Request& request,
                              const std::vector<Move>& moves) override {
    TRY_ASSIGN(const uint64_t moved, ask(transport_, request, MoveExtents{.moves = moves}));
    return size_t{moved};
  }
  Status change_volume(const meta::VolumeChange& change) override {
    return tell(transport_, {}, ChangeVolume{.change = change});
  }
  Result<std::string> path_of(Ino ino) override { return ask(transport_, {}, PathOf{.ino = ino}); }

 private:
  Transport& transport_;
};

class RemoteOwner final : public meta::OwnerHandle {
 public:
  RemoteOwner(Transport& transport, std::unique_ptr<meta::Metadata> metadata, format::Volume volume)
      : metadata_(std::move(metadata)), maintenance_(transport), volume_(std::move(volume)) {}

  meta::Metadata& metadata() override { return *metadata_; }
  meta::Maintenance& maintenance() override { return maintenance_; }
  meta::SessionKeeper* sessions() override { return nullptr; }
  format::OwnerMarker marker() const override {
    return {volume_.uuid, volume_.lineage, volume_.epoch,
            volume_.opens.empty() ? Uuid{} : volume_.opens.back()};
  }
  bool knows_open(const Uuid& open_id) const override {
    return std::find(volume_.opens.begin(), volume_.opens.end(), open_id) != volume_.opens.end();
  }

 private:
  const std::unique_ptr<meta::Metadata> metadata_;
  RemoteMaintenance maintenance_;
  const format::Volume volume_;
};

// --- the engine ---

class RemoteEngine final : public engine::KvEngine {
 public:
  explicit RemoteEngine(Transport& transport) : transport_(transport) {}

  std::unique_ptr<engine::ReadToken> read_token() override {
    const Result<uint64_t> moment = ask(transport_, {}, EngineMoment{});
    // Reads with a token that there is not tell why.
    return std::make_unique<Moment>(transport_, moment.ok() ? *moment : ~uint64_t{0});
  }
  Result<std::optional<engine::Versioned>> get(const engine::ReadToken* token,
                                               std::string_view key) override {
    TRY_ASSIGN(auto found, get_many(token, {std::string(key)}));
    return std::move(found.front());
  }
  Result<std::vector<std::optional<engine::Versioned>>> get_many(
      const engine::ReadToken* token, const std::vector<std::string>& keys) override {
    TRY_ASSIGN(auto found, ask(transport_, {}, EngineGet{.moment = of(token), .keys = keys}));
    if (found.size() != keys.size())
      return error(EBADMSG, "{} answers to {} questions", found.size(), keys.size());
    return found;
  }
  Result<engine::Page> scan(const engine::ReadToken* token, std::string_view begin,
                            std::string_view end, size_t limit) override {
    return ask(transport_, {},
               EngineScan{.moment = of(token),
                          .begin = std::string(begin),
                          .end = std::string(end),
                          .limit = limit});
  }
  Result<std::optional<engine::Item>> last(const engine::ReadToken* token, std::string_view begin,
                                           std::string_view end) override {
    return ask(
        transport_, {},
        EngineLast{.moment = of(token), .begin = std::string(begin), .end = std::string(end)});
  }
  Result<engine::CommitResult> commit(const engine::Batch&) override { return refusal(); }
  Status sync() override { return {}; }
  Status ingest(const std::vector<engine::Item>&) override { return refusal(); }
  engine::Capabilities capabilities() const override { return {}; }
  std::string describe() const override {
    const Result<std::string> facts = ask(transport_, {}, EngineFacts{});
    return facts.ok() ? *facts : "the engine of a meta server";
  }
  Result<uint64_t> disk_bytes() override { return ask(transport_, {}, EngineDiskBytes{}); }

 private:
  struct Moment final : engine::ReadToken {
    Moment(Transport& over, uint64_t drawn) : transport(over), moment(drawn) {}
    ~Moment() override {
      tell(transport, {}, EngineMomentEnd{.moment = moment}).ignore("it ends by itself");
    }
    Transport& transport;
    const uint64_t moment;
  };
  static uint64_t of(const engine::ReadToken* token) {
    return token == nullptr ? 0 : static_cast<const Moment*>(token)->moment;
  }
  static Error refusal() {
    return error(EROFS,
                 "the engine is the meta server's; run this with the META-URL of the engine while "
                 "no meta server owns the volume");
  }

  Transport& transport_;
};

}  // namespace

Result<std::unique_ptr<meta::OwnerHandle>> make_remote_owner(Transport& transport) {
  auto metadata = make_remote_metadata(transport);
  TRY_ASSIGN(format::Volume volume, metadata->volume());
  return std::unique_ptr<meta::OwnerHandle>(
      std::make_unique<RemoteOwner>(transport, std::move(metadata), std::move(volume)));
}

std::unique_ptr<engine::KvEngine> make_remote_engine(Transport& transport) {
  return std::make_unique<RemoteEngine>(transport);
}

}  // namespace shoal::metasvc
