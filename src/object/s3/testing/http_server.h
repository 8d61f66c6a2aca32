// A small HTTP/1.1 server on loopback for tests, with a hand on the wire: it can stay silent, cut
// answers short and talk nonsense. Tests only.
#pragma once

#include <functional>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "sys/mutex.h"
#include "sys/net.h"
#include "sys/thread.h"

namespace shoal::object {

struct TestRequest {
  std::string method;
  std::string path;                            // as sent, without the query
  std::string query;                           // as sent
  std::map<std::string, std::string> headers;  // lower-case names
  std::string body;
  std::string header(const std::string& name) const {
    const auto found = headers.find(name);
    return found == headers.end() ? "" : found->second;
  }
};

enum class Trick {
  kNone,
  kHangUp,    // closes without an answer
  kSilence,   // no answer until the client gives up
  kShort,     // promises the whole body, sends half, closes
  kStall,     // sends half of the body, then nothing until the client gives up
  kNonsense,  // bytes that are not HTTP
};

struct TestReply {
  int status = 200;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  Trick trick = Trick::kNone;
};

class TestHttpServer {
 public:
  using Handler = std::function<TestReply(const TestRequest&)>;  // called by many threads at once
  explicit TestHttpServer(Handler handler);
  ~TestHttpServer();
  std::string url() const;  // "http://127.0.0.1:port"
  TestRequest last();       // the request that was answered last

 private:
  void accept_all();
  void serve(Connection& connection);
  bool reply(Connection& connection, const TestRequest& request, const TestReply& reply);

  const Handler handler_;
  RealNet net_;
  std::unique_ptr<Listener> listener_;
  Mutex mutex_;
  std::list<std::unique_ptr<Connection>> connections_ GUARDED_BY(mutex_);
  std::vector<Thread> workers_ GUARDED_BY(mutex_);
  TestRequest last_ GUARDED_BY(mutex_);
  Thread acceptor_;
};

}  // namespace shoal::object
