#!/usr/bin/perl
# The WebSocket client of Mojolicious, Debian's package. Commands come in as lines of JSON and events go out
# (adapter_test.go says which).
use strict;
use warnings;
use Mojo::IOLoop;
use Mojo::IOLoop::Stream;
use Mojo::JSON qw(decode_json encode_json);
use Mojo::UserAgent;
use Mojolicious;

my ($agent, %clients) = (Mojo::UserAgent->new);

sub say_event { syswrite STDOUT, encode_json($_[0]) . "\n" }

sub report { my ($id, $event, %more) = @_; say_event({id => $id, event => $event, %more}) }

sub got {
  my ($id, $text) = @_;
  report($id, 'message', length $text > 1000 ? (size => length $text) : (text => $text));
}

sub last_seen { my ($id, $text) = @_; $text =~ s/\s+$//; report($id, 'sees', text => $text, last => Mojo::JSON->true) }

sub connect_to {
  my ($id, $url) = @_;
  $agent->websocket($url => sub {
    my ($ua, $tx) = @_;
    unless ($tx->is_websocket) {
      my $error = $tx->error // {};
      return last_seen($id, join ' ', 'no WebSocket:', grep defined, $error->{code}, $error->{message});
    }
    $clients{$id} = $tx;
    $tx->max_websocket_size(1 << 20);
    $tx->on(message => sub { got($id, $_[1]) });
    $tx->on(finish => sub { last_seen($id, join ' ', 'finish', $_[1], $_[2] // '') });
    report($id, 'open');
  });
}

# A message of parts is a frame of each: FIN, three reserved bits, the opcode, the payload.
sub fragments {
  my ($tx, @parts) = @_;
  for my $i (0 .. $#parts) {
    $tx->send([$i == $#parts ? 1 : 0, 0, 0, 0, $i == 0 ? 1 : 0, $parts[$i]]);
  }
}

sub carry_out {
  my ($command) = @_;
  my ($id, $do) = @$command{qw(id do)};
  my $tx = $clients{$id};
  return connect_to($id, $command->{url})       if $do eq 'open';
  return                                        unless $tx;
  return $tx->send($command->{text})            if $do eq 'send';
  return fragments($tx, @{$command->{parts}})   if $do eq 'fragments';
  return $tx->finish                            if $do eq 'close' && !$tx->is_finished;
}

my $input  = Mojo::IOLoop::Stream->new(\*STDIN)->timeout(0);
my $buffer = '';
$input->on(read => sub {
  $buffer .= $_[1];
  carry_out(decode_json($1)) while $buffer =~ s/^(.*)\n//;
});
$input->on(close => sub { Mojo::IOLoop->stop });
$input->start;

say_event({id => 0, event => 'hello', versions => {Mojolicious => Mojolicious->VERSION}});
Mojo::IOLoop->start;
