// Sends requests: one thread, one curl multi handle, a queue for each kind and priority, a window
// for each kind, retries within the budget, deadlines.
//
// A call waits in its queue, is tried, and either ends (its `finish` runs) or goes back to its
// queue after a pause. A call whose deadline passes ends wherever it is, and then nothing touches
// its memory any more.
#pragma once

#include <array>
#include <atomic>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "object/object_store.h"
#include "object/request_counters.h"
#include "object/s3/http_try.h"
#include "object/s3/key_ring.h"
#include "object/s3/retry_budget.h"
#include "object/s3/s3_request.h"
#include "object/s3/verdict.h"
#include "object/s3/window.h"
#include "sys/clock.h"
#include "sys/mutex.h"
#include "sys/random.h"
#include "sys/thread.h"

using CURLM = void;

namespace shoal::object {

struct S3Call {
  S3Request request;
  CallOptions options;
  std::optional<Error> invalid;  // set: nothing is sent, `finish` gets this
  std::atomic<uint64_t> RequestCounters::*counter = nullptr;
  // Takes a 2xx answer (or 416 of a get) apart. EBADMSG: nonsense, worth another try. ERESTART: the
  // request was changed and is to be sent anew. Others are final. A Verdict in `inner` is an error
  // inside a 200.
  std::function<Status(S3Request& request, HttpResponse& response, std::optional<Verdict>& inner)>
      accept;
  std::function<void(Status, int tries)> finish;
};

class Dispatcher {
 public:
  Dispatcher(BucketAddress address, std::unique_ptr<CredentialsSource> credentials, Clock& clock,
             Random& random, S3Options options);
  ~Dispatcher();  // everything unfinished ends with ECANCELED

  void submit(S3Call call) EXCLUDES(mutex_);  // thread-safe; also from `finish`
  RequestCounts counts() const { return counters_.read(); }
  const BucketAddress& address() const { return address_; }

 private:
  using Nanoseconds = std::chrono::nanoseconds;
  struct Waiting {  // a call until it ends
    S3Call call;
    Nanoseconds deadline{0};
    int tries = 0;
    int refreshes =
        0;  // of keys, clock and payload mode: each may be the cause once or twice, not for ever
    std::optional<Error> last_error;
  };
  struct Active {
    uint64_t id;
    CURL* easy;
    OpClass op;
    Credentials credentials;
    std::unique_ptr<HttpTry> http;
  };

  void run();
  bool take_new() EXCLUDES(mutex_);  // false: stop
  void add(S3Call call);
  void cancel_all();
  void wake_retries(Nanoseconds now);
  void end_overdue(Nanoseconds now);
  void end_stalled(Nanoseconds now);
  void start_tries();
  bool start_next(int priority, OpClass op, const Credentials& credentials);
  std::deque<uint64_t>& waiting(int priority, OpClass op);
  std::deque<uint64_t>& longest_waiting(OpClass op);
  void start(uint64_t id, const Credentials& credentials);
  void end_completed();
  void settle(Active& active, Result<HttpResponse> result);
  void again(uint64_t id, Verdict verdict, const Active& active);
  void schedule_retry(uint64_t id, std::chrono::milliseconds retry_after);
  void end(uint64_t id, Status status);
  void drop(std::map<CURL*, Active>::iterator active);
  void correct_clock(const HttpResponse& response);
  std::deque<uint64_t>& queue(const S3Call& call);
  Time server_now() const;
  int poll_milliseconds() const;
  size_t queued() const;

  const BucketAddress address_;
  Clock& clock_;
  Random& random_;
  const S3Options options_;
  RequestCounters counters_;

  Mutex mutex_;
  std::vector<S3Call> inbox_ GUARDED_BY(mutex_);
  bool stopping_ GUARDED_BY(mutex_) = false;

  // The thread's own.
  CURLM* multi_;
  std::vector<CURL*> idle_;  // easy handles to use again
  Signer signer_;
  RetryBudget budget_;
  std::array<Window, kOpClasses> windows_;
  std::array<std::array<std::deque<uint64_t>, kOpClasses>, 4>
      queues_;  // [priority][op]; may hold ids that ended
  std::array<uint64_t, kOpClasses> starts_{};
  std::map<uint64_t, Waiting> calls_;
  std::map<CURL*, Active> active_;
  std::set<std::pair<Nanoseconds, uint64_t>> deadlines_;
  std::set<std::pair<Nanoseconds, uint64_t>> pauses_;
  uint64_t next_id_ = 1;
  int64_t clock_offset_seconds_ = 0;
  bool sign_payload_ = false;

  std::unique_ptr<KeyRing> keys_;  // its callback wakes multi_
  Thread thread_;
};

}  // namespace shoal::object
