#!/usr/bin/ruby
# The WebSocket client of faye-websocket for Ruby, Debian's package. Commands come in as lines of JSON and events go out
# (adapter_test.go says which).
require 'eventmachine'
require 'faye/websocket'
require 'json'

STDOUT.sync = true

def tell(id, event, more = {})
  puts JSON.generate({ id: id, event: event }.merge(more))
end

def got(id, text)
  tell(id, 'message', text.length > 1000 ? { size: text.length } : { text: text })
end

def connect(id, url)
  socket = Faye::WebSocket::Client.new(url)
  socket.on(:open) { tell(id, 'open') }
  socket.on(:message) { |event| got(id, event.data) }
  socket.on(:error) { |event| tell(id, 'sees', text: "error #{event.message}".strip) }
  socket.on(:close) { |event| tell(id, 'sees', text: "close #{event.code} #{event.reason}".strip, last: true) }
  socket
end

# The input's lines are carried out on the event loop.
class Commands < EM::Connection
  include EM::Protocols::LineText2

  def initialize
    super
    @clients = {}
  end

  def receive_line(line)
    command = JSON.parse(line)
    id = command['id']
    case command['do']
    when 'open' then @clients[id] = connect(id, command['url'])
    when 'send' then @clients[id].send(command['text'])
    when 'close' then @clients[id]&.close
    end
  end

  def unbind
    EM.stop
  end
end

EM.run do
  tell(0, 'hello', versions: { 'ruby faye' => Gem::Specification.find_by_name('faye-websocket').version.to_s })
  EM.attach(STDIN, Commands)
end
