#include "rpc/control.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "rpc/message.h"

namespace shoal::rpc {
namespace {

NetAddress scratch_address(const char* name) {
  NetAddress address;
  address.is_unix = true;
  address.path_or_host = "/tmp/shoal-control-" + std::to_string(getpid()) + "-" + name;
  return address;
}

TEST(Control, answers_with_progress_then_a_result_or_an_error) {
  RealNet net;
  const NetAddress address = scratch_address("answers");
  auto server = ControlServer::start(net, address,
                                     [](const std::string& command, const std::string& arguments,
                                        const auto& progress) -> Result<std::string> {
                                       if (command == "fail")
                                         return error(EBUSY, "no {}", arguments);
                                       EXPECT_TRUE(progress("{\"n\":1}").ok());
                                       return std::string("{\"got\":") + arguments + "}";
                                     })
                    .value();
  std::string seen;
  EXPECT_EQ(
      *ask(net, address, "echo", "{\"a\":1}", [&](const std::string& p) { seen += p; }).value(),
      "{\"got\":{\"a\":1}}");
  EXPECT_EQ(seen, "{\"n\":1}");
  const auto failed = ask(net, address, "fail", "{}", nullptr);
  EXPECT_EQ(failed.code(), EBUSY);
  EXPECT_EQ(failed.error().text(), "no {}");
}

TEST(Control, garbage_and_huge_lengths_get_an_error_and_the_server_goes_on) {
  RealNet net;
  const NetAddress address = scratch_address("garbage");
  auto server =
      ControlServer::start(net, address,
                           [](const std::string&, const std::string&,
                              const auto&) -> Result<std::string> { return std::string("{}"); })
          .value();
  {
    auto raw = net.connect(address, std::chrono::milliseconds(1000)).value();
    ASSERT_TRUE(raw->write_all(as_bytes("\xff\xff\xff\xff"), std::chrono::milliseconds(1000)).ok());
    const std::string answer = receive_message(*raw, std::chrono::milliseconds(5000)).value();
    EXPECT_NE(answer.find("error"), std::string::npos);
  }
  {
    auto raw = net.connect(address, std::chrono::milliseconds(1000)).value();
    ASSERT_TRUE(send_message(*raw, "not json", std::chrono::milliseconds(1000)).ok());
    EXPECT_NE(receive_message(*raw, std::chrono::milliseconds(5000)).value().find("not a JSON"),
              std::string::npos);
  }
  EXPECT_EQ(*ask(net, address, "x", "{}", nullptr).value(), "{}");
}

TEST(Control, nobody_there_is_no_answer_and_an_answer_may_be_any_errno) {
  RealNet net;
  EXPECT_FALSE(ask(net, scratch_address("nobody"), "x", "{}", nullptr).value().has_value());
  const NetAddress address = scratch_address("enoent");
  auto server = ControlServer::start(
                    net, address,
                    [](const std::string&, const std::string&, const auto&) -> Result<std::string> {
                      return error(ENOENT, "no such inode");
                    })
                    .value();
  EXPECT_EQ(ask(net, address, "x", "{}", nullptr).code(), ENOENT);
}

}  // namespace
}  // namespace shoal::rpc
