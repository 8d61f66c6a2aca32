#include "object/s3/dispatcher.h"

#include <curl/curl.h>

#include <algorithm>
#include <cmath>

#include "base/log.h"

namespace shoal::object {
namespace {

constexpr int kRefreshesMax = 3;
// A kind that has nothing else under way may always have so many, whatever the others do.
constexpr int kGuaranteed = 2;
// Each so many-th start of a kind is of the call that waits longest, whatever its priority: a
// reader may be waiting for what began as read-ahead, and must not wait for ever.
constexpr uint64_t kTurnOfLongestWaiting = 8;

size_t index(OpClass op) { return static_cast<size_t>(op); }

}  // namespace

Dispatcher::Dispatcher(BucketAddress address, std::unique_ptr<CredentialsSource> credentials,
                       Clock& clock, Random& random, S3Options options)
    : address_(std::move(address)),
      clock_(clock),
      random_(random),
      options_(options),
      signer_(address_.region(), "s3"),
      budget_(clock.since_boot()),
      windows_{Window(options.connections_max), Window(options.connections_max),
               Window(options.connections_max)} {
  init_curl();
  multi_ = curl_multi_init();
  CHECK(multi_ != nullptr);
  curl_multi_setopt(multi_, CURLMOPT_PIPELINING, static_cast<long>(CURLPIPE_NOTHING));
  curl_multi_setopt(multi_, CURLMOPT_MAXCONNECTS, static_cast<long>(options_.connections_max));
  keys_ = std::make_unique<KeyRing>(std::move(credentials), clock_,
                                    [this] { curl_multi_wakeup(multi_); });
  thread_ = Thread("s3", [this] { run(); });
}

Dispatcher::~Dispatcher() {
  {
    MutexLock lock(mutex_);
    stopping_ = true;
  }
  curl_multi_wakeup(multi_);
  thread_.join();
  keys_.reset();
  for (CURL* easy : idle_) curl_easy_cleanup(easy);
  curl_multi_cleanup(multi_);
}

void Dispatcher::submit(S3Call call) {
  MutexLock lock(mutex_);
  inbox_.push_back(std::move(call));
  // One wake-up is enough for all that comes before the thread looks.
  if (inbox_.size() == 1) curl_multi_wakeup(multi_);
}

void Dispatcher::run() {
  while (take_new()) {
    const Nanoseconds now = clock_.since_boot();
    end_overdue(now);
    wake_retries(now);
    start_tries();
    int running = 0;
    curl_multi_perform(multi_, &running);
    end_completed();
    end_stalled(clock_.since_boot());
    start_tries();  // what the ended ones made room for
    curl_multi_poll(multi_, nullptr, 0, poll_milliseconds(), nullptr);
  }
  cancel_all();
}

bool Dispatcher::take_new() {
  std::vector<S3Call> taken;
  bool stopping = false;
  {
    MutexLock lock(mutex_);
    taken.swap(inbox_);
    stopping = stopping_;
  }
  for (S3Call& call : taken) add(std::move(call));
  return !stopping;
}

void Dispatcher::add(S3Call call) {
  if (call.invalid.has_value()) return call.finish(std::move(*call.invalid), 0);
  const uint64_t id = next_id_++;
  Waiting waiting{std::move(call), {}, 0, 0, std::nullopt};
  waiting.deadline = clock_.since_boot() + waiting.call.options.deadline;
  deadlines_.emplace(waiting.deadline, id);
  budget_.first_try();
  queue(waiting.call).push_back(id);
  calls_.emplace(id, std::move(waiting));
}

void Dispatcher::cancel_all() {
  while (!active_.empty()) drop(active_.begin());
  // A callback may submit once more; that ends here too.
  while (true) {
    while (!calls_.empty())
      end(calls_.begin()->first, Error(ECANCELED, "the object store is being closed"));
    take_new();
    if (calls_.empty()) return;
  }
}

std::deque<uint64_t>& Dispatcher::queue(const S3Call& call) {
  return queues_[static_cast<size_t>(call.options.priority)][index(call.request.op)];
}

void Dispatcher::wake_retries(Nanoseconds now) {
  while (!pauses_.empty() && pauses_.begin()->first <= now) {
    const uint64_t id = pauses_.begin()->second;
    pauses_.erase(pauses_.begin());
    const auto found = calls_.find(id);
    if (found == calls_.end()) continue;
    if (budget_.take(now)) {
      ++counters_.retries;
      queue(found->second.call).push_back(id);
    } else {
      schedule_retry(id, {});  // no more load on a store in trouble; perhaps next time
    }
  }
}

void Dispatcher::end_overdue(Nanoseconds now) {
  while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
    const uint64_t id = deadlines_.begin()->second;
    for (auto it = active_.begin(); it != active_.end(); ++it) {
      if (it->second.id != id) continue;
      windows_[index(it->second.op)].cancelled();
      drop(it);
      break;
    }
    const Waiting& waiting = calls_.at(id);
    Error late = error(
        ETIMEDOUT, "{} {}: no success within {} ms and {} tries{}", waiting.call.request.method,
        waiting.call.request.key, waiting.call.options.deadline.count(), waiting.tries,
        waiting.last_error.has_value() ? "; last: " + waiting.last_error->text() : std::string());
    end(id, std::move(late));
  }
}

void Dispatcher::end_stalled(Nanoseconds now) {
  for (auto it = active_.begin(); it != active_.end();) {
    const auto current = it++;
    if (current->second.http->stalls_at() > now) continue;
    Active stalled = std::move(current->second);
    curl_multi_remove_handle(multi_, stalled.easy);
    active_.erase(current);
    settle(stalled, Error(ENOTCONN, "the server fell silent"));
  }
}

void Dispatcher::start_tries() {
  if (queued() == 0) return;
  Result<std::optional<Credentials>> keys = keys_->current();
  if (!keys.ok()) {
    // Everybody who waits hears why; a later call makes the ring ask again.
    for (auto& by_op : queues_) {
      for (auto& waiting : by_op) {
        while (!waiting.empty()) {
          const uint64_t id = waiting.front();
          waiting.pop_front();
          end(id, keys.error());
        }
      }
    }
    return;
  }
  if (!keys->has_value()) return;
  for (int priority = 0; priority < 4; ++priority) {
    bool started = true;
    while (started) {  // in turns, so that no kind takes all connections
      started = false;
      for (const OpClass op : {OpClass::kRead, OpClass::kWrite, OpClass::kList}) {
        started = start_next(priority, op, **keys) || started;
      }
    }
  }
}

bool Dispatcher::start_next(int priority, OpClass op, const Credentials& credentials) {
  Window& window = windows_[index(op)];
  const bool room = static_cast<int>(active_.size()) < options_.connections_max ||
                    window.in_flight() < kGuaranteed;
  if (waiting(priority, op).empty() || !window.is_open() || !room) return false;
  const bool longest = ++starts_[index(op)] % kTurnOfLongestWaiting == 0;
  std::deque<uint64_t>& from = longest ? longest_waiting(op) : waiting(priority, op);
  const uint64_t id = from.front();
  from.pop_front();
  start(id, credentials);
  return true;
}

// The queue, which begins with a call that has not ended.
std::deque<uint64_t>& Dispatcher::waiting(int priority, OpClass op) {
  std::deque<uint64_t>& queue = queues_[static_cast<size_t>(priority)][index(op)];
  while (!queue.empty() && !calls_.contains(queue.front())) queue.pop_front();
  return queue;
}

// REQUIRES that some call of the kind waits.
std::deque<uint64_t>& Dispatcher::longest_waiting(OpClass op) {
  std::deque<uint64_t>* longest = nullptr;
  for (int priority = 0; priority < static_cast<int>(queues_.size()); ++priority) {
    std::deque<uint64_t>& queue = waiting(priority, op);
    if (!queue.empty() && (longest == nullptr || queue.front() < longest->front()))
      longest = &queue;
  }
  return *longest;
}

void Dispatcher::start(uint64_t id, const Credentials& credentials) {
  Waiting& waiting = calls_.at(id);
  const S3Request& request = waiting.call.request;
  CURL* easy = nullptr;
  if (idle_.empty()) {
    easy = curl_easy_init();
    CHECK(easy != nullptr);
  } else {
    easy = idle_.back();
    idle_.pop_back();
  }
  ++waiting.tries;
  ++(counters_.*waiting.call.counter);
  counters_.bytes_out += total_bytes(request.body);
  HttpRequest http =
      signed_request(request, address_, signer_, credentials, server_now(), sign_payload_);
  const HttpTimeouts timeouts{options_.connect_timeout, options_.stall_timeout,
                              options_.stall_timeout * request.patience};
  Active active{id, easy, request.op, credentials,
                std::make_unique<HttpTry>(easy, std::move(http), timeouts, clock_)};
  windows_[index(request.op)].started();
  CHECK(curl_multi_add_handle(multi_, easy) == CURLM_OK);
  active_.emplace(easy, std::move(active));
}

void Dispatcher::end_completed() {
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi_, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    const int code = message->data.result;
    const auto found = active_.find(message->easy_handle);
    CHECK(found != active_.end());
    Active ended = std::move(found->second);
    active_.erase(found);
    curl_multi_remove_handle(multi_, ended.easy);  // `message` is gone now
    settle(ended, ended.http->finish(code));
  }
}

// `active` is out of curl's hands; decides what becomes of its call.
void Dispatcher::settle(Active& active, Result<HttpResponse> result) {
  const Nanoseconds started = active.http->started();
  active.http.reset();
  idle_.push_back(active.easy);
  Window& window = windows_[index(active.op)];
  Waiting& waiting = calls_.at(active.id);
  S3Request& request = waiting.call.request;
  if (!result.ok()) {
    window.failed();
    return again(active.id, judge_transport(request, result.error(), address_), active);
  }
  Verdict verdict = judge(request, *result, address_, server_now());
  if (verdict.outcome == Outcome::kThrottled) {
    window.throttled(started, clock_.since_boot());
  } else {
    window.succeeded();
  }
  if (verdict.outcome != Outcome::kDone) {
    if (verdict.outcome == Outcome::kClockSkew) correct_clock(*result);
    return again(active.id, std::move(verdict), active);
  }
  counters_.bytes_in += result->received;
  std::optional<Verdict> inner;
  Status accepted = waiting.call.accept(request, *result, inner);
  if (inner.has_value()) return again(active.id, std::move(*inner), active);
  if (accepted.ok()) return end(active.id, {});
  if (accepted.error().is(ERESTART)) {
    queue(waiting.call).push_front(active.id);
    return;
  }
  const bool nonsense = accepted.error().is(EBADMSG);
  Error described = accepted.error().in(fmt::format(
      "{} {}/{} at {}", request.method, address_.bucket(), request.key, address_.origin()));
  if (nonsense) described = Error(EIO, described.message());
  again(active.id, {nonsense ? Outcome::kRetry : Outcome::kFail, std::move(described), {}}, active);
}

void Dispatcher::again(uint64_t id, Verdict verdict, const Active& active) {
  Waiting& waiting = calls_.at(id);
  waiting.last_error = verdict.error;
  switch (verdict.outcome) {
    case Outcome::kRetry:
    case Outcome::kThrottled:
      return schedule_retry(id, verdict.retry_after);
    case Outcome::kRefreshKeys:
    case Outcome::kClockSkew:
    case Outcome::kSignPayload:
      if (++waiting.refreshes > kRefreshesMax) return end(id, std::move(*verdict.error));
      if (verdict.outcome == Outcome::kRefreshKeys) keys_->expired(active.credentials);
      if (verdict.outcome == Outcome::kSignPayload) sign_payload_ = true;
      ++counters_.retries;
      queue(waiting.call).push_front(id);
      return;
    case Outcome::kDone:
    case Outcome::kFail:
      return end(id, std::move(*verdict.error));
  }
}

void Dispatcher::schedule_retry(uint64_t id, std::chrono::milliseconds retry_after) {
  const Waiting& waiting = calls_.at(id);
  const int doublings = std::clamp(waiting.tries - 1, 0, 20);
  const int64_t limit =
      std::min<int64_t>(options_.backoff_max.count(), options_.backoff_min.count() << doublings);
  const std::chrono::milliseconds jitter(
      1 + random_.below(static_cast<uint64_t>(std::max<int64_t>(1, limit))));
  const Nanoseconds at = clock_.since_boot() + std::max(jitter, retry_after);
  if (at < waiting.deadline) {
    pauses_.emplace(at, id);
    const auto& on_retry = waiting.call.options.on_retry;
    if (on_retry && waiting.last_error.has_value()) on_retry(*waiting.last_error);
    return;
  }
  // Waiting for a deadline that leaves no time to try would only be slower.
  end(id,
      error(ETIMEDOUT, "{}; the deadline of {} ms leaves no time for another try",
            waiting.last_error.has_value() ? waiting.last_error->text() : waiting.call.request.key,
            waiting.call.options.deadline.count()));
}

void Dispatcher::end(uint64_t id, Status status) {
  const auto found = calls_.find(id);
  if (found == calls_.end()) return;
  const std::function<void(Status, int)> finish = std::move(found->second.call.finish);
  const int tries = found->second.tries;
  deadlines_.erase({found->second.deadline, id});
  calls_.erase(found);
  finish(std::move(status), tries);
}

void Dispatcher::drop(std::map<CURL*, Active>::iterator active) {
  curl_multi_remove_handle(multi_, active->second.easy);
  active->second.http.reset();
  idle_.push_back(active->second.easy);
  active_.erase(active);
}

void Dispatcher::correct_clock(const HttpResponse& response) {
  const std::optional<int64_t> date = parse_http_date(response.header("date"));
  if (!date.has_value()) return;
  clock_offset_seconds_ = *date - clock_.now().seconds;
  log(LogLevel::kWarn, "{}: this machine's clock is {} s off; signing with the server's",
      address_.origin(), -clock_offset_seconds_);
}

Time Dispatcher::server_now() const {
  Time now = clock_.now();
  now.seconds += clock_offset_seconds_;
  return now;
}

size_t Dispatcher::queued() const {
  size_t sum = 0;
  for (const auto& by_op : queues_) {
    for (const auto& waiting : by_op) sum += waiting.size();
  }
  return sum;
}

int Dispatcher::poll_milliseconds() const {
  const Nanoseconds now = clock_.since_boot();
  Nanoseconds until = now + std::chrono::seconds(1);
  if (!deadlines_.empty()) until = std::min(until, deadlines_.begin()->first);
  if (!pauses_.empty()) until = std::min(until, pauses_.begin()->first);
  for (const auto& [easy, active] : active_) until = std::min(until, active.http->stalls_at());
  const double milliseconds = std::chrono::duration<double, std::milli>(until - now).count();
  return static_cast<int>(std::clamp(std::ceil(milliseconds), 0.0, 1000.0));
}

}  // namespace shoal::object
