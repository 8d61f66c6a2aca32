// Stands between an engine and a TestServer and loses what a test wants lost. A request is what a
// client sends until the server is ready for the next one.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "engine/postgres/testing/test_server.h"
#include "sys/mutex.h"
#include "sys/thread.h"

namespace shoal::engine::postgres {

class CuttingProxy {
 public:
  enum class Cut {
    kNothing,
    kRequest,  // the server never sees it; the connection ends
    kReply,    // the server has answered; the connection ends before the client sees it
    kSilence,  // likewise, but the connection stays and nothing more comes
  };

  explicit CuttingProxy(const TestServer& server);
  ~CuttingProxy();
  CuttingProxy(const CuttingProxy&) = delete;
  CuttingProxy& operator=(const CuttingProxy&) = delete;

  // TestServer::url() by way of this proxy.
  std::string url(std::string_view prefix, std::string_view more = "") const;

  // What becomes of the next request, whoever sends it.
  void cut_next(Cut cut) { cut_ = cut; }
  // How many requests were answered to the client.
  int answered() const { return answered_; }
  // From now on nobody gets in; connections that exist end.
  void close();

 private:
  void accept_all();
  void serve(int client);
  // False when the connection is to end.
  bool from_client(int client, int server, Cut& current);
  bool from_server(int client, int server, Cut& current);

  const TestServer& server_;
  std::string folder_;
  int listening_ = -1;
  std::atomic<bool> closing_ = false;
  std::atomic<Cut> cut_ = Cut::kNothing;
  std::atomic<int> answered_ = 0;
  Mutex mutex_;
  std::vector<Thread> threads_ GUARDED_BY(mutex_);
  Thread accepting_;
};

}  // namespace shoal::engine::postgres
