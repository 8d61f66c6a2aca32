#include "object/s3/s3_store.h"

#include <algorithm>
#include <charconv>

#include "object/s3/dispatcher.h"
#include "object/validation.h"
#include "sys/mutex.h"

namespace shoal::object {
namespace {

constexpr int kPutPatience = 3;        // the server writes to its disks before it answers
constexpr int kCompletePatience = 12;  // some servers copy all parts

// "bytes 0-9/100" or "bytes */100".
struct ContentRange {
  bool has_range = false;
  uint64_t first = 0, last = 0, total = 0;
};

std::optional<uint64_t> number(std::string_view text) {
  uint64_t value = 0;
  const auto [end, bad] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || bad != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<ContentRange> parse_content_range(std::string_view text) {
  if (!text.starts_with("bytes ")) return std::nullopt;
  text.remove_prefix(6);
  const size_t slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  ContentRange range;
  const std::optional<uint64_t> total = number(text.substr(slash + 1));
  if (!total.has_value()) return std::nullopt;
  range.total = *total;
  const std::string_view bytes = text.substr(0, slash);
  if (bytes == "*") return range;
  const size_t dash = bytes.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  const std::optional<uint64_t> first = number(bytes.substr(0, dash)),
                                last = number(bytes.substr(dash + 1));
  if (!first.has_value() || !last.has_value() || *first > *last || *last >= range.total)
    return std::nullopt;
  range.has_range = true;
  range.first = *first;
  range.last = *last;
  return range;
}

// Whether the bytes that came are the bytes that were asked for.
Result<GetResult> checked_get(const HttpResponse& response, uint64_t offset, size_t asked) {
  const std::string etag(response.header("etag"));
  const std::string_view header = response.header("content-range");
  const std::optional<ContentRange> range = parse_content_range(header);
  if (response.status == 416) {
    if (range.has_value() && offset < range->total) {
      return error(EBADMSG, "the server refuses a range at {} of an object of {} bytes", offset,
                   range->total);
    }
    return GetResult{0, range.has_value() ? range->total : 0, etag};
  }
  if (response.status == 200) {  // the whole object: no range was honoured
    if (offset != 0) return error(EBADMSG, "the server ignored the range (offset {})", offset);
    return GetResult{response.received, response.received, etag};
  }
  if (response.status != 206 || !range.has_value() || !range->has_range) {
    return error(EBADMSG, "status {} with Content-Range \"{}\" to a ranged GET", response.status,
                 header);
  }
  const uint64_t due = offset < range->total ? std::min<uint64_t>(asked, range->total - offset) : 0;
  if (range->first != offset || range->last - range->first + 1 != due || response.received != due) {
    return error(EBADMSG, "{} bytes at {} were due, the server sent {} with Content-Range \"{}\"",
                 due, offset, response.received, header);
  }
  return GetResult{response.received, range->total, etag};
}

class S3Store final : public ObjectStore {
 public:
  S3Store(const BucketUrl& url, std::unique_ptr<CredentialsSource> credentials, Clock& clock,
          Random& random, const S3Options& options)
      : prefix_(url.prefix.empty() ? "" : url.prefix + "/"),
        dispatcher_(BucketAddress(url), std::move(credentials), clock, random, options) {}

  void put(std::string key, std::vector<ByteView> spans, CallOptions options,
           Done<std::string> done) override {
    if (!valid(check_key(key, prefix_.size()), options, done)) return;
    S3Request request = object_request(OpClass::kWrite, "PUT", key);
    request.body = std::move(spans);
    request.patience = kPutPatience;
    if (options.if_absent) request.headers.emplace_back("if-none-match", "*");
    send<std::string>(std::move(request), options, &RequestCounters::put, take_etag,
                      std::move(done));
  }

  void get(std::string key, uint64_t offset, MutableBytes into, GetOptions options,
           Done<GetResult> done) override {
    if (!valid(check_key(key, prefix_.size()), options.call, done)) return;
    if (into.empty()) {  // HTTP has no empty range
      return head_object(std::move(key), options.call, options.if_match,
                         [done = std::move(done)](Result<ObjectInfo> info) {
                           if (!info.ok()) return done(std::move(info).error());
                           done(GetResult{0, info->size, info->etag});
                         });
    }
    S3Request request = object_request(OpClass::kRead, "GET", key);
    const uint64_t last = offset + std::min<uint64_t>(into.size() - 1, UINT64_MAX - offset);
    request.headers.emplace_back("range", fmt::format("bytes={}-{}", offset, last));
    if (!options.if_match.empty()) request.headers.emplace_back("if-match", options.if_match);
    request.into = into;
    request.has_target = true;
    send<GetResult>(
        std::move(request), options.call, &RequestCounters::get,
        [offset, asked = into.size()](S3Request&, HttpResponse& response, std::optional<Verdict>&,
                                      GetResult& out) -> Status {
          TRY_ASSIGN(out, checked_get(response, offset, asked));
          return {};
        },
        std::move(done));
  }

  void head(std::string key, CallOptions options, Done<ObjectInfo> done) override {
    if (!valid(check_key(key, prefix_.size()), options, done)) return;
    head_object(std::move(key), options, "", std::move(done));
  }

  void remove_many(std::vector<std::string> keys, CallOptions options,
                   Done<std::vector<std::string>> done) override;
  void list(std::string prefix, ListOptions options, Done<ListPage> done) override;

  void upload_begin(std::string key, CallOptions options, Done<std::string> done) override {
    if (!valid(check_key(key, prefix_.size()), options, done)) return;
    S3Request request = object_request(OpClass::kWrite, "POST", key);
    request.query.emplace_back("uploads", "");
    send<std::string>(
        std::move(request), options, &RequestCounters::multipart,
        [](S3Request&, HttpResponse& response, std::optional<Verdict>&,
           std::string& out) -> Status {
          TRY_ASSIGN(out, parse_upload_id_xml(response.text));
          return {};
        },
        std::move(done));
  }

  void upload_part(std::string key, std::string upload, int number, std::vector<ByteView> spans,
                   CallOptions options, Done<UploadedPart> done) override {
    if (!valid(check_parts({{number, ""}}), options, done)) return;
    S3Request request = object_request(OpClass::kWrite, "PUT", key);
    request.query = {{"partNumber", std::to_string(number)}, {"uploadId", upload}};
    request.body = std::move(spans);
    request.patience = kPutPatience;
    send<UploadedPart>(
        std::move(request), options, &RequestCounters::multipart,
        [number](S3Request& sent, HttpResponse& response, std::optional<Verdict>& inner,
                 UploadedPart& out) {
          out.number = number;
          return take_etag(sent, response, inner, out.etag);
        },
        std::move(done));
  }

  void upload_complete(std::string key, std::string upload, std::vector<UploadedPart> parts,
                       CallOptions options, Done<std::string> done) override;

  void upload_abort(std::string key, std::string upload, CallOptions options,
                    Done<bool> done) override {
    if (!valid(check_key(key, prefix_.size()), options, done)) return;
    S3Request request = object_request(OpClass::kWrite, "DELETE", key);
    request.query.emplace_back("uploadId", upload);
    send<bool>(
        std::move(request), options, &RequestCounters::multipart,
        [](S3Request&, HttpResponse&, std::optional<Verdict>&, bool& out) -> Status {
          out = true;
          return {};
        },
        std::move(done));
  }

  RequestCounts counts() const override { return dispatcher_.counts(); }
  std::string describe() const override {
    const BucketAddress& address = dispatcher_.address();
    std::string place = "s3://" + address.bucket();
    if (!prefix_.empty()) place += "/" + prefix_.substr(0, prefix_.size() - 1);
    return place + " at " + address.origin();
  }

 private:
  template <typename T>
  using Accept = std::function<Status(S3Request&, HttpResponse&, std::optional<Verdict>&, T&)>;
  using Counter = std::atomic<uint64_t> RequestCounters::*;

  static Status take_etag(S3Request& /*request*/, HttpResponse& response,
                          std::optional<Verdict>& /*inner*/, std::string& out) {
    out = response.header("etag");
    if (out.empty()) return Error(EBADMSG, "the server stored the object and gave no ETag");
    return {};
  }

  S3Request object_request(OpClass op, const char* method, const std::string& key) const {
    S3Request request;
    request.op = op;
    request.method = method;
    request.key = prefix_ + key;
    return request;
  }

  template <typename T>
  void send_with_tries(S3Request request, const CallOptions& options, Counter counter,
                       Accept<T> accept, std::function<void(Result<T>, int tries)> done) {
    auto out = std::make_shared<T>();  // shared by the two closures, one after the other
    S3Call call;
    call.request = std::move(request);
    call.options = options;
    call.counter = counter;
    call.accept = [out, accept = std::move(accept)](S3Request& sent, HttpResponse& response,
                                                    std::optional<Verdict>& inner) {
      return accept(sent, response, inner, *out);
    };
    call.finish = [out, done = std::move(done)](Status status, int tries) {
      if (!status.ok()) return done(std::move(status).error(), tries);
      done(std::move(*out), tries);
    };
    dispatcher_.submit(std::move(call));
  }

  template <typename T>
  void send(S3Request request, const CallOptions& options, Counter counter, Accept<T> accept,
            Done<T> done) {
    send_with_tries<T>(
        std::move(request), options, counter, std::move(accept),
        [done = std::move(done)](Result<T> result, int) { done(std::move(result)); });
  }

  // An argument that is wrong is answered from the dispatcher's thread like everything else.
  template <typename T>
  bool valid(const Status& checked, const CallOptions& options, Done<T>& done) {
    if (checked.ok()) return true;
    S3Call call;
    call.options = options;
    call.invalid = checked.error();
    call.finish = [done = std::move(done)](Status status, int) { done(std::move(status).error()); };
    dispatcher_.submit(std::move(call));
    return false;
  }

  void head_object(std::string key, const CallOptions& options, const std::string& if_match,
                   Done<ObjectInfo> done) {
    S3Request request = object_request(OpClass::kRead, "HEAD", key);
    if (!if_match.empty()) request.headers.emplace_back("if-match", if_match);
    send<ObjectInfo>(
        std::move(request), options, &RequestCounters::head,
        [key = std::move(key)](S3Request&, HttpResponse& response, std::optional<Verdict>&,
                               ObjectInfo& out) -> Status {
          const std::optional<uint64_t> size = number(response.header("content-length"));
          if (!size.has_value())
            return Error(EBADMSG, "the server does not tell the object's length");
          out = ObjectInfo{key, *size, std::string(response.header("etag")), {}};
          out.modified.seconds = parse_http_date(response.header("last-modified")).value_or(0);
          return {};
        },
        std::move(done));
  }

  void remove_one(const std::string& key, const CallOptions& options,
                  std::function<void(Status)> done);
  void remove_batch(std::vector<std::string> keys, const CallOptions& options,
                    Done<std::vector<std::string>> done);

  const std::string prefix_;  // "" or with a slash at its end
  Dispatcher dispatcher_;
};

void S3Store::remove_one(const std::string& key, const CallOptions& options,
                         std::function<void(Status)> done) {
  send<bool>(
      object_request(OpClass::kWrite, "DELETE", key), options, &RequestCounters::remove,
      [](S3Request&, HttpResponse&, std::optional<Verdict>&, bool&) -> Status { return {}; },
      [done = std::move(done)](Result<bool> result) {
        if (result.ok() || result.error().is(ENOENT)) return done({});
        done(std::move(result).error());
      });
}

void S3Store::remove_batch(std::vector<std::string> keys, const CallOptions& options,
                           Done<std::vector<std::string>> done) {
  S3Request request;
  request.op = OpClass::kWrite;
  request.method = "POST";
  request.query.emplace_back("delete", "");
  for (std::string& key : keys) key.insert(0, prefix_);
  request.text = delete_xml(keys);
  request.patience = kCompletePatience;  // a thousand deletes in one request
  request.headers = {{"content-md5", md5_base64(request.text)},
                     {"content-type", "application/xml"}};
  send<std::vector<std::string>>(
      std::move(request), options, &RequestCounters::remove,
      [prefix = prefix_](S3Request&, HttpResponse& response, std::optional<Verdict>&,
                         std::vector<std::string>& out) -> Status {
        TRY_ASSIGN(const std::vector<DeleteFailure> failures, parse_delete_xml(response.text));
        out.clear();
        for (const DeleteFailure& failure : failures) {
          if (failure.error.code == "NoSuchKey") continue;
          if (!failure.key.starts_with(prefix))
            return error(EBADMSG, "the server failed to remove a foreign key");
          out.push_back(failure.key.substr(prefix.size()));
        }
        return {};
      },
      std::move(done));
}

void S3Store::remove_many(std::vector<std::string> keys, CallOptions options,
                          Done<std::vector<std::string>> done) {
  if (!valid(check_keys(keys, prefix_.size()), options, done)) return;
  // Keys that XML cannot hold go one by one, and so does a single key: every vendor has DELETE.
  const auto singles =
      keys.size() == 1 ? keys.begin() : std::stable_partition(keys.begin(), keys.end(), fits_xml);
  std::vector<std::string> one_by_one(std::make_move_iterator(singles),
                                      std::make_move_iterator(keys.end()));
  keys.erase(singles, keys.end());
  if (one_by_one.empty()) {
    return remove_batch(std::move(keys), options, std::move(done));
  }
  struct Join {  // shared by the requests; the last to end answers
    Mutex mutex;
    size_t open GUARDED_BY(mutex) = 0;
    std::vector<std::string> kept GUARDED_BY(mutex);
    std::optional<Error> failed GUARDED_BY(mutex);
    Done<std::vector<std::string>> done;
    void ended(std::vector<std::string> left, std::optional<Error> error) {
      MutexLock lock(mutex);
      kept.insert(kept.end(), left.begin(), left.end());
      if (error.has_value()) failed = std::move(error);
      if (--open > 0) return;
      Result<std::vector<std::string>> result(std::move(kept));
      if (failed.has_value()) result = Result<std::vector<std::string>>(std::move(*failed));
      lock.unlock();
      done(std::move(result));
    }
  };
  auto join = std::make_shared<Join>();
  join->done = std::move(done);
  {
    MutexLock lock(join->mutex);
    join->open = one_by_one.size() + (keys.empty() ? 0 : 1);
  }
  if (!keys.empty()) {
    remove_batch(std::move(keys), options, [join](Result<std::vector<std::string>> left) {
      if (left.ok()) return join->ended(std::move(*left), std::nullopt);
      join->ended({}, left.error());
    });
  }
  for (const std::string& key : one_by_one) {
    remove_one(key, options, [join](Status removed) {
      join->ended({}, removed.ok() ? std::nullopt : std::optional<Error>(removed.error()));
    });
  }
}

void S3Store::list(std::string prefix, ListOptions options, Done<ListPage> done) {
  if (!valid(check_limit(options), options.call, done)) return;
  S3Request request;
  request.op = OpClass::kList;
  request.method = "GET";
  request.query = {{"list-type", "2"},
                   {"encoding-type", "url"},  // without it some keys make invalid XML
                   {"max-keys", std::to_string(options.limit)},
                   {"prefix", prefix_ + prefix}};
  if (!options.delimiter.empty()) request.query.emplace_back("delimiter", options.delimiter);
  if (!options.start_after.empty())
    request.query.emplace_back("start-after", prefix_ + options.start_after);
  send<ListPage>(
      std::move(request), options.call, &RequestCounters::list,
      [own = prefix_, whole = prefix_ + prefix, start_after = options.start_after](
          S3Request& sent, HttpResponse& response, std::optional<Verdict>&,
          ListPage& out) -> Status {
        TRY_ASSIGN(ListXml list, parse_list_xml(response.text));
        out = ListPage{};
        out.truncated = list.truncated;
        for (ObjectInfo& object : list.objects) {
          if (!object.key.starts_with(whole))
            return error(EBADMSG, "the list has the foreign key {}", object.key);
          object.key.erase(0, own.size());
          out.next_start_after = std::max(out.next_start_after, object.key);
          out.objects.push_back(std::move(object));
        }
        for (std::string& common : list.common_prefixes) {
          if (!common.starts_with(whole))
            return error(EBADMSG, "the list has the foreign prefix {}", common);
          common.erase(0, own.size());
          // Servers differ in whether a group that start-after lies in is listed again.
          if (common <= start_after && !start_after.empty()) continue;
          out.next_start_after = std::max(out.next_start_after, common);
          out.common_prefixes.push_back(std::move(common));
        }
        if (!out.truncated) {
          out.next_start_after.clear();
        } else if (out.next_start_after.empty()) {
          // A page of nothing new: only the server's own token goes on from here.
          if (list.next_token.empty())
            return Error(EBADMSG, "the list is truncated and says not where to go on");
          std::erase_if(sent.query,
                        [](const auto& field) { return field.first == "continuation-token"; });
          sent.query.emplace_back("continuation-token", list.next_token);
          return Error(ERESTART);
        }
        return {};
      },
      std::move(done));
}

void S3Store::upload_complete(std::string key, std::string upload, std::vector<UploadedPart> parts,
                              CallOptions options, Done<std::string> done) {
  Status checked = check_parts(parts);
  if (checked.ok()) checked = check_key(key, prefix_.size());
  if (!valid(checked, options, done)) return;
  S3Request request = object_request(OpClass::kWrite, "POST", key);
  request.query.emplace_back("uploadId", upload);
  request.text = complete_xml(parts);
  request.headers.emplace_back("content-type", "application/xml");
  if (options.if_absent) request.headers.emplace_back("if-none-match", "*");
  request.patience = kCompletePatience;
  send_with_tries<std::string>(
      std::move(request), options, &RequestCounters::multipart,
      [this](S3Request& sent, HttpResponse& response, std::optional<Verdict>& inner,
             std::string& out) -> Status {
        TRY_ASSIGN(const CompleteXml complete, parse_complete_xml(response.text));
        if (!complete.error.code.empty()) {
          inner = judge_code(sent, response.status, complete.error, dispatcher_.address());
          return {};
        }
        out = complete.etag;
        return {};
      },
      [this, key, options, done = std::move(done)](Result<std::string> result, int tries) {
        // An earlier try may have succeeded with its answer lost; the upload is then gone and the
        // object there.
        if (result.ok() || !result.error().is(ENOENT) || tries < 2) return done(std::move(result));
        head_object(key, options, "", [done, first = result.error()](Result<ObjectInfo> info) {
          if (info.ok()) return done(std::move(info->etag));
          done(first);
        });
      });
}

}  // namespace

Result<std::unique_ptr<ObjectStore>> open_s3_store(const BucketUrl& url,
                                                   std::unique_ptr<CredentialsSource> credentials,
                                                   Clock& clock, Random& random,
                                                   S3Options options) {
  if (url.kind != BucketUrl::Kind::kS3) return error(EINVAL, "{} is no S3 bucket", url.to_string());
  if (options.connections_max < 1) {
    return error(EINVAL, "{} connections to S3 are too few; 1 is the least",
                 options.connections_max);
  }
  return std::unique_ptr<ObjectStore>(
      std::make_unique<S3Store>(url, std::move(credentials), clock, random, options));
}

}  // namespace shoal::object
