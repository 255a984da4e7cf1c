"""What a site decides to accept or to check differently: waivers and tailoring."""
