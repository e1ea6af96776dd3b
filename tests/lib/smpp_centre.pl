#!/usr/bin/perl
# smpp_centre.pl - a message centre made of Net::SMPP, which we did not write.
#   smpp_centre.pl OUT
# Plain TCP on a loopback port (printed); one line "id to from coding octets-in-hex" in OUT for each message. Ids: decimal
# with leading zeros in the answer, without them in the receipt.
use strict;
use warnings;
use Net::SMPP;

$| = 1;
my ($out) = @ARGV;
my $listen = Net::SMPP->new_listen('127.0.0.1', port => 0, smpp_version => 0x34, async => 1, timeout => 600) or die "listen: $!";
print "PORT ", $listen->sockport, "\n";
my $next = 4711;
while (1) {
	my $peer = $listen->accept or next;
	while (my $pdu = $peer->read_pdu) {
		if ($pdu->{cmd} == Net::SMPP::CMD_bind_transceiver) {
			my $good = $pdu->{system_id} eq 'shop' && $pdu->{password} eq 'secret08';
			$peer->bind_transceiver_resp(system_id => 'perl', seq => $pdu->{seq}, status => $good ? 0 : 14);
		} elsif ($pdu->{cmd} == Net::SMPP::CMD_enquire_link) {
			$peer->enquire_link_resp(seq => $pdu->{seq});
		} elsif ($pdu->{cmd} == Net::SMPP::CMD_unbind) {
			$peer->unbind_resp(seq => $pdu->{seq});
			last;
		} elsif ($pdu->{cmd} == Net::SMPP::CMD_submit_sm) {
			my $text = length $pdu->{short_message} ? $pdu->{short_message} : $pdu->{message_payload} // '';
			my $id = $next++;
			open my $f, '>>', $out or die;
			printf $f "%s %s %s %d %s\n", $id, $pdu->{destination_addr}, $pdu->{source_addr}, $pdu->{data_coding}, unpack 'H*', $text;
			close $f;
			$peer->submit_sm_resp(message_id => sprintf('%010d', $id), seq => $pdu->{seq});
			$peer->deliver_sm(source_addr => $pdu->{destination_addr}, destination_addr => $pdu->{source_addr}, esm_class => 4,
				short_message => sprintf('id:%d sub:001 dlvrd:001 submit date:2611220101 done date:2611220102 stat:DELIVRD err:000 text:', $id));
		}
	}
	close $peer;
}
