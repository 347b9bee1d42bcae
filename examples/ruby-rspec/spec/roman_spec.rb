# frozen_string_literal: true

require 'roman'

RSpec.describe Roman do
  { 1 => 'I', 4 => 'IV', 9 => 'IX', 14 => 'XIV', 40 => 'XL', 90 => 'XC', 1994 => 'MCMXCIV', 3999 => 'MMMCMXCIX' }
    .each do |number, text|
    it("writes #{number} as #{text}") { expect(described_class.write(number)).to eq text }
    it("reads #{text} as #{number}") { expect(described_class.read(text)).to eq number }
  end

  it 'reads small letters' do
    expect(described_class.read('mmxxvi')).to eq 2026
  end

  ['', 'IIII', 'IM', 'ABC', 'XVV'].each do |text|
    it("refuses #{text.inspect}") { expect { described_class.read(text) }.to raise_error(Roman::Error) }
  end

  it 'reads what it has written' do
    expect((1..3999).map { |number| described_class.read(described_class.write(number)) }).to eq((1..3999).to_a)
  end
end
