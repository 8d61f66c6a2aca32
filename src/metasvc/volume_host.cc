#include "metasvc/volume_host.h"

#include <atomic>
#include <optional>

#include "base/log.h"
#include "meta/access_token.h"
#include "meta/grouping.h"
#include "meta/owner.h"
#include "metasvc/job_dispatch.h"
#include "sys/gate.h"
#include "sys/mutex.h"
#include "sys/thread.h"

namespace shoal::metasvc {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kEngineRetry{1'000};
constexpr int kStepsPerTerm = 8;

// What there is while the volume is ours. Calls pass the gate.
struct Owning {
  std::unique_ptr<engine::GroupCommit> group;
  std::unique_ptr<meta::OwnerHandle> owner;
  std::unique_ptr<JobDispatch> jobs;
  std::unique_ptr<VolumeService> service;
  Gate gate;
};

class Host final : public VolumeHost {
 public:
  Host(const Seams& seams, HostOptions options) : seams_(seams), options_(std::move(options)) {
    status_.name = options_.name;
    thread_ = Thread("host", [this] { run(); });
  }
  ~Host() override { stop(); }

  std::string volume() const override {
    MutexLock lock(mutex_);
    return volume_;
  }
  Result<std::string> token() const override {
    MutexLock lock(mutex_);
    if (token_.empty()) return error(ENOENT, "the engine was not reached yet");
    return token_;
  }
  HostStatus status() const override;
  Result<std::vector<VolumeService::SessionStatus>> sessions() const override;
  Status evict(SessionId session) override;
  void call(const std::shared_ptr<rpc::Call>& call) override;
  void stop() override;

 private:
  std::shared_ptr<Owning> owning() const {
    MutexLock lock(mutex_);
    return owning_;
  }
  void run();
  bool stopping() const {
    MutexLock lock(mutex_);
    return stopping_;
  }
  void pause(milliseconds time);
  Status reach_engine();
  void one_step();
  Status take_over();
  void give_up(const std::string& why);
  void note(HostStatus::State state, const std::string& trouble);

  const Seams seams_;
  const HostOptions options_;
  // By the thread only.
  HostedEngine hosted_;
  std::optional<Election> election_;
  bool engine_away_ = false;

  mutable Mutex mutex_;
  CondVar wake_;
  bool stopping_ GUARDED_BY(mutex_) = false;
  std::string volume_ GUARDED_BY(mutex_);
  std::string token_ GUARDED_BY(mutex_);
  HostStatus status_ GUARDED_BY(mutex_);
  std::shared_ptr<Owning> owning_ GUARDED_BY(mutex_);  // null: not the owner
  Thread thread_;
};

HostStatus Host::status() const {
  std::shared_ptr<Owning> owning;
  HostStatus status;
  {
    MutexLock lock(mutex_);
    status = status_;
    owning = owning_;
  }
  if (owning == nullptr) return status;
  owning->gate.pass([&] {
    status.sessions = owning->service->sessions().size();
    status.trouble = owning->group->trouble();
    status.epoch = owning->owner->marker().epoch;
  });
  return status;
}

Error not_the_owner() { return error(kNotTheOwner, "this server does not own the volume"); }

Result<std::vector<VolumeService::SessionStatus>> Host::sessions() const {
  Result<std::vector<VolumeService::SessionStatus>> told = not_the_owner();
  if (const std::shared_ptr<Owning> owning = this->owning())
    owning->gate.pass([&] { told = owning->service->sessions(); });
  return told;
}

Status Host::evict(SessionId session) {
  Status done = not_the_owner();
  if (const std::shared_ptr<Owning> owning = this->owning())
    owning->gate.pass([&] { done = owning->service->evict(session); });
  return done;
}

void Host::call(const std::shared_ptr<rpc::Call>& call) {
  const std::shared_ptr<Owning> owning = this->owning();
  bool served = false;
  if (owning != nullptr && election_->in_term()) {
    owning->gate.pass([&] {
      served = true;
      owning->service->call(call);
    });
  }
  if (!served) call->fail(not_the_owner());
}

void Host::stop() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
    wake_.notify_all();
  }
  thread_.join();
}

void Host::pause(milliseconds time) {
  MutexLock lock(mutex_);
  if (!stopping_) wake_.wait_for(mutex_, time);
}

void Host::note(HostStatus::State state, const std::string& trouble) {
  bool news = false;
  {
    MutexLock lock(mutex_);
    news = status_.trouble != trouble && !trouble.empty();
    status_.state = state;
    status_.trouble = trouble;
    if (election_ && election_->seen()) status_.owner_address = election_->seen()->address;
  }
  if (news) log(LogLevel::kWarn, "{}: {}", options_.name, trouble);
}

void Host::run() {
  while (!stopping()) {
    if (hosted_.engine == nullptr) {
      const Status reached = reach_engine();
      if (!reached.ok()) {
        note(HostStatus::State::kUnreachable, reached.error().text());
        pause(kEngineRetry);
        continue;
      }
    }
    one_step();
    pause(options_.election.term / kStepsPerTerm);
  }
  give_up("the server is ending");
  if (election_) election_->release();
}

Status Host::reach_engine() {
  TRY_ASSIGN(HostedEngine hosted, options_.open_engine());
  TRY_ASSIGN(const format::Volume volume, meta::read_volume(*hosted.engine));
  TRY_ASSIGN(const std::string token,
             meta::draw_access_token(*hosted.engine, seams_.random, /*renew=*/false));
  hosted_ = std::move(hosted);
  election_.emplace(*hosted_.engine, seams_.clock, options_.election);
  MutexLock lock(mutex_);
  volume_ = volume.name;
  token_ = token;
  status_.name = volume.name;
  status_.engine = hosted_.engine->describe();
  return {};
}

void Host::one_step() {
  std::shared_ptr<Owning> owning;
  {
    MutexLock lock(mutex_);
    owning = owning_;
  }
  const Result<bool> elected = election_->step();
  if (!elected.ok()) {
    engine_away_ = true;
    note(owning ? HostStatus::State::kOwner : HostStatus::State::kStandby, elected.error().text());
    return;
  }
  if (Result<std::string> token = meta::read_access_token(*hosted_.engine); token.ok()) {
    MutexLock lock(mutex_);
    token_ = *std::move(token);
  }
  if (!*elected) {
    if (owning) give_up("another server owns it now");
    return note(HostStatus::State::kStandby, "");
  }
  if (owning != nullptr && !owning->group->broken()) {
    owning->gate.pass([&] {
      if (std::exchange(engine_away_, false)) owning->service->engine_was_away();
      owning->service->tick();
    });
    return note(HostStatus::State::kOwner, "");
  }
  if (owning != nullptr) give_up(owning->group->trouble());
  const Status taken = take_over();
  note(taken.ok() ? HostStatus::State::kOwner : HostStatus::State::kStandby,
       taken.ok() ? "" : taken.error().text());
}

Status Host::take_over() {
  TRY_ASSIGN(const format::Volume before, meta::read_volume(*hosted_.engine));
  if (hosted_.fence) TRY(hosted_.fence(before.epoch + 1));
  auto owning = std::make_shared<Owning>();
  TRY_ASSIGN(meta::Grouped grouped, meta::group_commits(*hosted_.engine, seams_.commit_executor));
  owning->group = std::move(grouped.engine);
  TRY_ASSIGN(owning->owner,
             meta::open_owner(*owning->group, seams_.clock, seams_.random, seams_.executor));
  owning->jobs = std::make_unique<JobDispatch>(owning->owner->maintenance(), *owning->group);
  ServiceOptions service = options_.service;
  service.jobs = owning->jobs.get();
  owning->service = VolumeService::make(*owning->owner, owning->group.get(), seams_.clock,
                                        std::move(grouped.notes), service);
  const format::OwnerMarker marker = owning->owner->marker();
  log(LogLevel::kInfo, "{}: owner of volume '{}' with epoch {}", options_.name, before.name,
      marker.epoch);
  MutexLock lock(mutex_);
  owning_ = std::move(owning);
  return {};
}

void Host::give_up(const std::string& why) {
  std::shared_ptr<Owning> owning;
  {
    MutexLock lock(mutex_);
    owning = std::exchange(owning_, nullptr);
  }
  if (owning == nullptr) return;
  log(LogLevel::kWarn, "{}: the volume is given up: {}", options_.name, why);
  if (stopping()) (void)owning->group->sync().code();  // what was asked for is answered first
  owning->group->stop(why);
  owning->gate.shut();
  owning->service.reset();
  owning->jobs.reset();
  owning->owner.reset();
  owning->group.reset();
}

}  // namespace

std::unique_ptr<VolumeHost> VolumeHost::start(const Seams& seams, HostOptions options) {
  return std::make_unique<Host>(seams, std::move(options));
}

}  // namespace shoal::metasvc
