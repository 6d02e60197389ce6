/* Client: one request to a port of this machine, for the server's use of itself. */
#ifndef SERVER_CLIENT_H
#define SERVER_CLIENT_H

#include <string>

namespace server
{

/* Sends the line and returns what comes back until the other side closes or one second has passed.
 */
std::string request(int port, const std::string &line);

} // namespace server

#endif
