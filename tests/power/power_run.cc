#include "power_run.h"

#include <algorithm>

namespace shoal::power {
namespace {

using namespace std::chrono_literals;

constexpr uint64_t kFileBytesMax = 300'000;
constexpr int kFolders = 3;  // the root and two below it
const meta::Caller kRoot{.kernel_checked = true};

model::WorldOptions options(model::EngineKind engine,
                            std::function<std::unique_ptr<LocalFs>(LocalFs&)> wrap, uint64_t seed) {
  model::WorldOptions options;
  options.engine = engine;
  options.bucket = model::BucketKind::kFolder;
  options.segment_bytes = seed % 3 == 0 ? 16 << 10 : seed % 6 == 1 ? 256 << 10 : 64 << 10;
  options.write_buffer_bytes =
      seed % 2 == 0 ? 0 : 1 << 20;  // 0: the least, so that tables are written
  options.wrap_disk = std::move(wrap);
  return options;
}

}  // namespace

PowerRun::PowerRun(model::EngineKind engine, uint64_t seed, std::string forget, Tally& tally)
    : seed_(seed),
      forget_(std::move(forget)),
      tally_(tally),
      random_(seed * 31 + 7),
      world_(seed, options(
                       engine,
                       [this](LocalFs& disk) {
                         return std::make_unique<ForgetfulFs>(disk,
                                                              [this](const std::string& kind) {
                                                                MutexLock lock(syncs_mutex_);
                                                                tally_.syncs.insert(kind);
                                                                return kind == forget_;
                                                              });
                       },
                       seed)) {
  world_.forget_engine_sync = [this](const std::string& behind) {
    const std::string kind = "engine behind " + behind;
    MutexLock lock(syncs_mutex_);
    tally_.syncs.insert(kind);
    return kind == forget_;
  };
}

void PowerRun::fail(std::string what) {
  if (failure_.empty()) failure_ = std::move(what);
}

std::optional<std::string> PowerRun::run(int lives) {
  if (const Status started = world_.start(); !started.ok())
    return "first start: " + started.error().to_string();
  folders_ = {kRootIno};
  for (int i = 1; i < kFolders; ++i) {
    folders_.push_back(
        world_.client().mkdir(kRoot, kRootIno, "d" + std::to_string(i), 0755).value().ino);
  }
  world_.client().fsync_dir(kRootIno).value();
  for (int i = 0; i < lives && failure_.empty(); ++i) life();
  if (failure_.empty()) return {};
  return fmt::format("seed {}{}: {}", seed_,
                     forget_.empty() ? "" : ", without the sync of: " + forget_, failure_);
}

// --- lives ---

void PowerRun::life() {
  world_.disk.cut_after(below(10) < 7 ? 1 + below(below(3) == 0 ? 60 : 500) : 0);
  const uint64_t steps = 20 + below(150);
  for (uint64_t i = 0; i < steps && !ended() && failure_.empty(); ++i) {
    ++tally_.operations;
    step();
  }
  if (!failure_.empty()) return;
  const bool power = ended() || below(3) != 0;
  end(power);
}

void PowerRun::end(bool power) {
  const data::StagingStatus staging = world_.client().status().staging;
  tally_.segments_stored += staging.stored_segments;
  tally_.large_segments += staging.large_segments;
  if (power) {
    ++tally_.cuts;
    const sim::CutReport report = world_.cut_power(random_.u64());
    if (report.writes_dropped + report.writes_torn + report.names_dropped > 0)
      ++tally_.cuts_that_lost;
  } else {
    ++tally_.kills;
    world_.kill();
  }
  // The power may go again while the volume is opened.
  for (int i = 0; i < 3; ++i) {
    world_.disk.cut_after(below(4) == 0 ? 1 + below(120) : 0);
    if (start() && !ended()) break;
    if (!failure_.empty()) return;
    ++tally_.cuts;
    ++tally_.cuts_in_start;
    world_.cut_power(random_.u64());
    power = true;
  }
  world_.disk.cut_after(0);
  if (!world_.running() && !start()) return fail("does not open");
  verify(power);
}

bool PowerRun::start() {
  const Status started = world_.start();
  if (world_.epoch() != 0) {
    if (world_.epoch() <= last_epoch_) fail(fmt::format("epoch {} recurs", world_.epoch()));
    last_epoch_ = world_.epoch();
  }
  if (!started.ok()) {
    if (!ended()) fail("opening the volume: " + started.error().to_string());
    return false;
  }
  tally_.replayed += world_.replay_report().applied;
  return true;
}

// --- what must be found ---

std::map<std::string, Ino> PowerRun::observe() {
  std::map<std::string, Ino> found;
  for (int i = 0; i < kFolders; ++i) {
    const auto page = world_.client().readdir(kRoot, folders_[i], "", 1000, false);
    if (!page.ok()) {
      fail("readdir: " + page.error().to_string());
      return found;
    }
    for (const meta::DirEntry& entry : page->entries) {
      if (entry.type == 4) continue;
      found[std::to_string(i) + "/" + entry.name] = entry.ino;
    }
  }
  return found;
}

bool PowerRun::matches(const Names& names, const std::map<std::string, Ino>& observed) const {
  if (names.size() != observed.size()) return false;
  auto other = observed.begin();
  for (const auto& [path, id] : names) {
    if (path != other->first) return false;
    const Ino known = files_[id].ino;
    if (known != 0 && known != other->second) return false;
    ++other;
  }
  return true;
}

// The last that matches; the bounds of renames are checked against every candidate by verify().
std::optional<size_t> PowerRun::find_names(const std::map<std::string, Ino>& observed,
                                           size_t floor) const {
  for (size_t i = history_.size(); i-- > floor;) {
    if (matches(history_[i], observed)) return i;
  }
  return {};
}

void PowerRun::verify(bool power) {
  const std::map<std::string, Ino> observed = observe();
  if (!failure_.empty()) return;
  const std::optional<size_t> last =
      find_names(observed, power ? names_floor_ : history_.size() - 2);
  if (!last) {
    std::string text;
    for (const auto& [path, ino] : observed) text += fmt::format(" {}={}", path, ino);
    return fail(fmt::format("the names are no state from {} of {} after a {}:{}", names_floor_,
                            history_.size(), power ? "power cut" : "kill", text));
  }
  // Equal names may be those of an earlier moment, to which fewer bounds apply: the earliest is the
  // fair one.
  size_t found = *last;
  for (size_t i = power ? names_floor_ : found; i < found; ++i) {
    if (matches(history_[i], observed)) found = i;
  }
  for (const auto& [path, id] : history_[found]) {
    size_t floor = power ? files_[id].power_floor : files_[id].kill_floor;
    for (const Bound& bound : bounds_) {
      if (bound.file == id && bound.index <= found) floor = std::max(floor, bound.state);
    }
    verify_file(id, path, floor);
    if (!failure_.empty()) return;
  }
  const std::vector<std::string> problems = world_.fsck();
  if (!problems.empty()) return fail("fsck: " + problems.front());
  settle(found, observed, power);
}

void PowerRun::verify_file(FileId id, const std::string& path, size_t floor) {
  File& file = files_[id];
  const auto [parent, name] = split(path);
  const auto attr = world_.client().lookup(kRoot, parent, name);
  if (!attr.ok()) return fail(path + ": " + attr.error().to_string());
  const auto opened = world_.client().open(kRoot, attr->ino, {.read = true});
  if (!opened.ok()) return fail(path + ": open: " + opened.error().to_string());
  std::string bytes(kFileBytesMax + 100, '?');
  const auto got = world_.client().read(opened->handle, 0, as_mutable_bytes(bytes));
  world_.client().release(opened->handle).value();
  if (!got.ok()) return fail(path + ": read: " + got.error().to_string());
  bytes.resize(*got);
  ++tally_.files_verified;
  if (file.synced_in_this_life) ++tally_.synced_files_verified;
  for (size_t i = file.states.size(); i-- > floor;) {
    if (file.states[i] != bytes) continue;
    file.states.resize(i + 1);
    return;
  }
  size_t earlier = file.states.size();
  for (size_t i = 0; i < floor; ++i) {
    if (file.states[i] == bytes) earlier = i;
  }
  fail(fmt::format("{} (inode {}): {} bytes are no state from {} of {}{}", path, attr->ino,
                   bytes.size(), floor, file.states.size(),
                   earlier < floor ? fmt::format(", but state {}", earlier) : ""));
}

// What was found is how things are. After a power cut it is also safe: nothing else is left on the
// disk.
void PowerRun::settle(size_t found, const std::map<std::string, Ino>& observed, bool power) {
  const Names now = history_[found];
  for (const auto& [path, id] : now) files_[id].ino = observed.at(path);
  for (File& file : files_) {
    file.open.reset();
    file.synced_in_this_life = false;
    if (!power) {
      file.kill_floor = file.states.size() - 1;  // journaled, or it would not be here
      file.power_floor = std::min(file.power_floor, file.kill_floor);
      continue;
    }
    file.states = {file.now()};
    file.power_floor = file.kill_floor = file.named_at = 0;
  }
  if (!power) {
    if (found + 1 < history_.size()) history_.resize(found + 1);
    return;
  }
  history_ = {now};
  names_floor_ = 0;
  bounds_.clear();
}

}  // namespace shoal::power
